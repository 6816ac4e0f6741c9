//! The client of a request, as far as the connection and the headers show.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;

use super::Problem;
use crate::error::Error;

/// Extractor of the network address that a request comes from, and of the device it claims to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    /// The address of the other end of the connection.
    pub address: IpAddr,
    /// Its `User-Agent`, for [`Tx::open_session`](crate::shard::Tx::open_session); `unknown` without one.
    pub device: String,
}

impl<S: Sync> FromRequestParts<S> for ClientInfo {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let ConnectInfo(peer) =
            peer.ok_or_else(|| Error::internal("the server does not tell who connects"))?;
        let device = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self { address: peer.ip(), device: device.unwrap_or("unknown").to_owned() })
    }
}
