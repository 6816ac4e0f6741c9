//! The PROXY protocol: the client's address, ahead of everything else on a connection
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ppp::{HeaderResult, v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

/// The size of the shortest header, `PROXY UNKNOWN\r\n`, in bytes.
const LEAST_BYTES: usize = 15;
/// The size of the longest header of version 1, in bytes.
const MOST_BYTES_OF_V1: usize = 107;
/// The size of the fixed part of version 2, in bytes; its last two are the length of the rest.
const FIXED_BYTES_OF_V2: usize = 16;
/// The maximum length of that rest, in bytes: addresses, and what a proxy appends to them.
const MOST_BYTES_OF_V2: usize = 1024;

/// Reads the header of a connection from a proxy, and nothing more. Returns the client's address, or the
/// proxy's own if the connection is its own, such as a health check. `None`, if there is no valid header
/// in time.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    proxy: SocketAddr,
    within: Duration,
) -> Option<SocketAddr> {
    let header = timeout(within, header(stream)).await.ok()?.ok()?;
    match HeaderResult::parse(&header) {
        HeaderResult::V1(Ok(header)) => Some(match header.addresses {
            v1::Addresses::Unknown => proxy,
            v1::Addresses::Tcp4(of) => (of.source_address, of.source_port).into(),
            v1::Addresses::Tcp6(of) => (of.source_address, of.source_port).into(),
        }),
        HeaderResult::V2(Ok(header)) => Some(match (header.command, header.addresses) {
            (v2::Command::Proxy, v2::Addresses::IPv4(of)) => (of.source_address, of.source_port).into(),
            (v2::Command::Proxy, v2::Addresses::IPv6(of)) => (of.source_address, of.source_port).into(),
            _ => proxy,
        }),
        _ => None,
    }
}

/// The bytes of a header of either version. It reads no byte that is not the header's.
async fn header(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut header = vec![0; LEAST_BYTES];
    stream.read_exact(&mut header).await?;
    if header.starts_with(v2::PROTOCOL_PREFIX) {
        header.resize(FIXED_BYTES_OF_V2, 0);
        stream.read_exact(&mut header[LEAST_BYTES..]).await?;
        let rest = usize::from(u16::from_be_bytes([header[14], header[15]]));
        if rest > MOST_BYTES_OF_V2 {
            return Err(io::Error::other("the header is too long"));
        }
        header.resize(FIXED_BYTES_OF_V2 + rest, 0);
        stream.read_exact(&mut header[FIXED_BYTES_OF_V2..]).await?;
        return Ok(header);
    }
    while !header.ends_with(b"\r\n") {
        if header.len() == MOST_BYTES_OF_V1 || !header.starts_with(b"PROXY ") {
            return Err(io::Error::other("this is no header"));
        }
        header.push(stream.read_u8().await?);
    }
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

    async fn client(header: &[u8]) -> (Option<String>, Vec<u8>) {
        let proxy = "10.0.0.1:9".parse().unwrap();
        let sent = [header, b"GET /"].concat();
        let mut stream = sent.as_slice();
        let client = read(&mut stream, proxy, Duration::from_secs(1)).await;
        (client.map(|address| address.to_string()), stream.to_vec())
    }

    #[tokio::test]
    async fn both_versions_are_read_and_nothing_after_them() {
        let v2 =
            |command: &[u8], rest: &[u8]| [V2, command, &(rest.len() as u16).to_be_bytes(), rest].concat();
        let four = b"\xcb\0\x71\x09\x0a\0\0\x01\x30\x39\x01\xbb";
        for (header, expected) in [
            (b"PROXY TCP4 203.0.113.9 10.0.0.1 12345 443\r\n".to_vec(), "203.0.113.9:12345"),
            (b"PROXY TCP6 2001:db8::9 fd00::1 12345 443\r\n".to_vec(), "[2001:db8::9]:12345"),
            (b"PROXY UNKNOWN\r\n".to_vec(), "10.0.0.1:9"),
            (v2(b"\x21\x11", four), "203.0.113.9:12345"),
            // With something appended.
            (v2(b"\x21\x11", &[&four[..], b"\x04\0\x01x"].concat()), "203.0.113.9:12345"),
            (v2(b"\x20\0", b""), "10.0.0.1:9"),
        ] {
            assert_eq!(client(&header).await, (Some(expected.to_owned()), b"GET /".to_vec()), "{header:?}");
        }
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let long = [V2, b"\x21\x11\xff\xff", &[0; 70_000]].concat();
        let no_end = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
        for header in
            [b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(), long, no_end, b"PROXY TCP4 x\r\n".to_vec()]
        {
            assert_eq!(client(&header).await.0, None, "{header:?}");
        }
    }
}
