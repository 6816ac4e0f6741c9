//! Subscriptions to channels, with proof of how much has been received.
//!
//! Redis delivers messages in order but without a guarantee: messages published while no one is
//! subscribed are lost, and a dead connection may go unnoticed for long. So the subscriber periodically
//! publishes a message itself, through each server that others may publish through. Once it receives
//! that message, it has also received everything published there before.

use std::pin::Pin;

use futures::{Stream, StreamExt};
use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::{Client, Msg, RedisResult, cmd};

use super::address::Form;
use super::health;
use super::link::{CONNECT, Link, one};
use crate::error::{Error, Result};

/// An open subscription.
pub struct Subscription {
    heard: Pin<Box<dyn Stream<Item = Msg> + Send>>,
    speaker: Speaker,
    identity: String,
}

/// Publishes through every server that others may publish through.
#[derive(Clone)]
pub struct Speaker(Speaks);

#[derive(Clone)]
enum Speaks {
    One(MultiplexedConnection),
    Cluster { connection: ClusterConnection, masters: usize },
}

impl Subscription {
    pub(super) async fn open(link: &Link, channels: &[String]) -> Result<Self> {
        let opened = tokio::time::timeout(CONNECT * 3, Self::connect(link, channels)).await;
        match opened {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(error)) => {
                Err(Error::unavailable("can't subscribe to channels of Redis").because(error.to_string()))
            }
            Err(_) => Err(Error::unavailable("can't subscribe to channels of Redis: it does not answer")),
        }
    }

    async fn connect(link: &Link, channels: &[String]) -> Result<Self, health::Unfit> {
        let (client, cluster) = match &link.address().form {
            Form::Standalone(client) => (client.clone(), None),
            Form::Sentinel(sentinel) => (sentinel.lock().await.async_get_client().await?, None),
            Form::Cluster { client, nodes } => {
                let mut connection = client.get_async_connection().await?;
                let (identity, masters) = health::check_cluster(&mut connection).await?;
                let speaks = Speaks::Cluster { connection, masters };
                (first_that_answers(nodes).await?, Some((speaks, identity)))
            }
        };
        let (speaks, identity) = match cluster {
            Some(cluster) => cluster,
            None => {
                let mut server = one(&client).await?;
                let identity = health::check_server(&mut server).await?;
                (Speaks::One(server), identity)
            }
        };
        let mut listener = client.get_async_pubsub().await?;
        listener.subscribe(channels).await?;
        Ok(Self { heard: Box::pin(listener.into_on_message()), speaker: Speaker(speaks), identity })
    }

    /// The next message, with its channel; `None` when the connection is lost.
    pub async fn next(&mut self) -> Option<(String, String)> {
        loop {
            let message = self.heard.next().await?;
            // A message that is not text is not ours.
            if let Ok(text) = message.get_payload() {
                return Some((message.get_channel_name().to_owned(), text));
            }
        }
    }

    /// The identity of the server subscribed to, as in [`super::Redis::identity`].
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// A handle for publishing.
    pub fn speaker(&self) -> Speaker {
        self.speaker.clone()
    }
}

impl Speaker {
    /// The number of servers it publishes through, and so how often each message is received.
    pub fn servers(&self) -> usize {
        match &self.0 {
            Speaks::One(_) => 1,
            Speaks::Cluster { masters, .. } => *masters,
        }
    }

    /// Publishes a message through every server.
    ///
    /// # Errors
    /// Unavailable: some servers did not publish it.
    pub async fn say(&mut self, channel: &str, message: &str) -> Result<()> {
        let publish = cmd("PUBLISH").arg(channel).arg(message).take();
        let servers = self.servers();
        let said: RedisResult<usize> = match &mut self.0 {
            Speaks::One(one) => publish.query_async::<()>(one).await.map(|()| 1),
            Speaks::Cluster { connection, .. } => {
                let all = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                connection.route_command(publish, all).await.map(|replies| health::done(&replies))
            }
        };
        match said {
            Ok(said) if said == servers => Ok(()),
            Ok(said) => {
                Err(Error::unavailable(format!("only {said} of {servers} Redis servers published a message")))
            }
            Err(error) => Err(Error::unavailable("Redis did not publish a message").because(error)),
        }
    }
}

/// The first node that responds, from a random start, so that not all processes subscribe to the same
/// one.
async fn first_that_answers(nodes: &[Client]) -> RedisResult<Client> {
    let mut failed = None;
    let start = rand::random_range(0..nodes.len().max(1));
    for node in nodes.iter().cycle().skip(start).take(nodes.len()) {
        match one(node).await {
            Ok(_) => return Ok(node.clone()),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| (redis::ErrorKind::InvalidClientConfig, "a cluster of no servers").into()))
}
