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

use super::address::{CONNECT_TIMEOUT, Topology};
use super::connection_manager::{ConnectionManager, connect_to};
use super::health;
use crate::error::{Error, Result};

/// An open subscription.
pub struct Subscription {
    messages: Pin<Box<dyn Stream<Item = Msg> + Send>>,
    publisher: Publisher,
    identity: String,
}

/// Publishes through every server that others may publish through.
#[derive(Clone)]
pub struct Publisher(PublishTo);

#[derive(Clone)]
enum PublishTo {
    One(MultiplexedConnection),
    Cluster { connection: ClusterConnection, masters: usize },
}

impl Subscription {
    pub(super) async fn open(manager: &ConnectionManager, channels: &[String]) -> Result<Self> {
        let opened = tokio::time::timeout(CONNECT_TIMEOUT * 3, Self::connect(manager, channels)).await;
        match opened {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(error)) => {
                Err(Error::unavailable("can't subscribe to channels of Redis").because(error.to_string()))
            }
            Err(_) => Err(Error::unavailable("can't subscribe to channels of Redis: it does not answer")),
        }
    }

    async fn connect(manager: &ConnectionManager, channels: &[String]) -> Result<Self, health::HealthError> {
        let (client, cluster) = match &manager.address().topology {
            Topology::Standalone(client) => (client.clone(), None),
            Topology::Sentinel(sentinel) => (sentinel.lock().await.async_get_client().await?, None),
            Topology::Cluster { client, nodes } => {
                let mut connection = client.get_async_connection().await?;
                let (identity, masters) = health::check_cluster(&mut connection).await?;
                let publish_to = PublishTo::Cluster { connection, masters };
                (first_that_answers(nodes).await?, Some((publish_to, identity)))
            }
        };
        let (publish_to, identity) = match cluster {
            Some(cluster) => cluster,
            None => {
                let mut server = connect_to(&client).await?;
                let identity = health::check_server(&mut server).await?;
                (PublishTo::One(server), identity)
            }
        };
        let mut listener = client.get_async_pubsub().await?;
        listener.subscribe(channels).await?;
        Ok(Self {
            messages: Box::pin(listener.into_on_message()),
            publisher: Publisher(publish_to),
            identity,
        })
    }

    /// The next message, with its channel; `None` when the connection is lost.
    pub async fn next(&mut self) -> Option<(String, String)> {
        loop {
            let message = self.messages.next().await?;
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
    pub fn publisher(&self) -> Publisher {
        self.publisher.clone()
    }
}

impl Publisher {
    /// The number of servers it publishes through, and so how often each message is received.
    pub fn servers(&self) -> usize {
        match &self.0 {
            PublishTo::One(_) => 1,
            PublishTo::Cluster { masters, .. } => *masters,
        }
    }

    /// Publishes a message through every server.
    ///
    /// # Errors
    /// Unavailable: some servers did not publish it.
    pub async fn publish(&mut self, channel: &str, message: &str) -> Result<()> {
        let publish = cmd("PUBLISH").arg(channel).arg(message).take();
        let servers = self.servers();
        let published: RedisResult<usize> = match &mut self.0 {
            PublishTo::One(one) => publish.query_async::<()>(one).await.map(|()| 1),
            PublishTo::Cluster { connection, .. } => {
                let all = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                connection.route_command(publish, all).await.map(|replies| health::done(&replies))
            }
        };
        match published {
            Ok(published) if published == servers => Ok(()),
            Ok(published) => Err(Error::unavailable(format!(
                "only {published} of {servers} Redis servers published a message"
            ))),
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
        match connect_to(node).await {
            Ok(_) => return Ok(node.clone()),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| (redis::ErrorKind::InvalidClientConfig, "a cluster of no servers").into()))
}
