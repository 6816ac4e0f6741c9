//! A TCP proxy between a client and a server, which simulates network faults.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::place::free_port;

/// The size of a read, and how many such pieces may be in transit in one direction.
const PIECE: usize = 16 * 1024;
const ON_THE_WAY: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Pass,
    Refuse,
    Hang,
}

/// The state that all connections follow.
#[derive(Clone, Copy, Debug)]
struct State {
    mode: Mode,
    /// Where new connections lead.
    server: SocketAddr,
    latency: Duration,
    /// Connections of earlier generations are cut.
    generation: u64,
}

/// A proxy that forwards everything until its mode changes. It stops when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    /// The mode that has taken effect.
    done: watch::Receiver<Mode>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and forwards to `server`, a host and port.
    ///
    /// # Panics
    /// If no port is free, or `server` is no IP address and port.
    pub async fn to(server: &str) -> Self {
        let socket = loop {
            if let Ok(socket) = bind(SocketAddr::from(([127, 0, 0, 1], free_port()))) {
                break socket;
            }
        };
        let address = socket.local_addr().expect("a bound socket has an address");
        let server = server.parse().expect("an IP address and a port");
        let start = State { mode: Mode::Pass, server, latency: Duration::ZERO, generation: 0 };
        let (state, states) = watch::channel(start);
        let (doing, mut done) = watch::channel(Mode::Refuse);
        let task = tokio::spawn(serve(socket, states, doing));
        done.wait_for(|mode| *mode == Mode::Pass).await.expect("the proxy runs");
        Self { address, state, done, task }
    }

    /// The host and port.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Forwards both ways, including data that was held back.
    pub async fn pass(&mut self) {
        self.be(Mode::Pass).await;
    }

    /// Accepts no new connection; open ones stay.
    pub async fn refuse(&mut self) {
        self.be(Mode::Refuse).await;
    }

    /// Accepts connections, and forwards nothing on any of them.
    pub async fn hang(&mut self) {
        self.be(Mode::Hang).await;
    }

    /// Forwards new connections to another server; open ones stay on theirs.
    ///
    /// # Panics
    /// If `server` is no IP address and port.
    pub fn redirect(&self, server: &str) {
        let server = server.parse().expect("an IP address and a port");
        self.state.send_modify(|state| state.server = server);
    }

    /// Closes every open connection.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.generation += 1);
    }

    /// Delays all data in each direction by this much.
    pub fn delay(&self, latency: Duration) {
        self.state.send_modify(|state| state.latency = latency);
    }

    async fn be(&mut self, mode: Mode) {
        self.state.send_modify(|state| state.mode = mode);
        self.done.wait_for(|done| *done == mode).await.expect("the proxy runs");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections of the port's previous listener may still be open.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts connections in one mode after another.
async fn serve(mut socket: TcpSocket, mut states: watch::Receiver<State>, doing: watch::Sender<Mode>) {
    let mut connections = JoinSet::new();
    let address = socket.local_addr().expect("a bound socket has an address");
    loop {
        let mode = states.borrow_and_update().mode;
        if mode == Mode::Refuse {
            doing.send_replace(mode);
            // A socket that does not listen keeps the port.
            let changed = states.wait_for(|state| state.mode != Mode::Refuse).await;
            if changed.is_err() {
                return;
            }
            continue;
        }
        let listener = socket.listen(1024).expect("a bound socket can listen");
        loop {
            doing.send_replace(states.borrow_and_update().mode);
            tokio::select! {
                accepted = listener.accept() => if let Ok((client, _)) = accepted {
                    connections.spawn(connection(client, states.clone()));
                },
                changed = states.changed() => if changed.is_err() { return },
                Some(_) = connections.join_next() => {}
            }
            if states.borrow().mode == Mode::Refuse {
                break;
            }
        }
        drop(listener);
        socket = bind(address).expect("the port was ours until now");
    }
}

async fn connection(client: TcpStream, mut states: watch::Receiver<State>) {
    let generation = states.borrow().generation;
    let (held, to_server) = (states.clone(), states.clone());
    let forward = async {
        let mut waiting = held;
        // A hanging proxy does not reveal whether the server is up.
        let server = waiting.wait_for(|state| state.mode != Mode::Hang).await.ok()?.server;
        let server = TcpStream::connect(server).await.ok()?;
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let ((from_client, into_client), (from_server, into_server)) =
            (client.into_split(), server.into_split());
        tokio::join!(
            copy(from_client, into_server, to_server.clone()),
            copy(from_server, into_client, to_server)
        );
        Some(())
    };
    tokio::select! {
        _ = forward => {}
        _ = states.wait_for(|state| state.generation != generation) => {}
    }
}

/// Copies one direction to its end. Reading continues while earlier pieces are delayed.
async fn copy(mut from: OwnedReadHalf, mut into: OwnedWriteHalf, mut states: watch::Receiver<State>) {
    let (sender, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    let read = async move {
        let mut piece = vec![0; PIECE];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            if sender.send((Instant::now(), piece[..length].to_vec())).await.is_err() {
                break;
            }
        }
    };
    let write = async move {
        while let Some((arrived, piece)) = pieces.recv().await {
            let Ok(state) = states.wait_for(|state| state.mode != Mode::Hang).await.map(|state| *state)
            else {
                return;
            };
            sleep_until(arrived + state.latency).await;
            if into.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _ = into.shutdown().await;
    };
    tokio::join!(read, write);
}
