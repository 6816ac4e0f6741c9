//! The sender of a request, as far as the connection and the headers reveal it.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;

use super::{Problem, SessionCookie};
use crate::error::Error;

/// Extractor: the network address of a request, and the device it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    /// The client's address: the connection's other end, or what a trusted proxy there says.
    pub address: IpAddr,
    /// The token in the cookie of a device that has logged in before; see
    /// [`Tx::remember_device`](crate::shard::Tx::remember_device).
    pub known_device: Option<String>,
    /// The `User-Agent`, for [`Tx::open_session`](crate::shard::Tx::open_session); `unknown` without
    /// one.
    pub device: String,
}

impl<S: Sync> FromRequestParts<S> for ClientInfo {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let ConnectInfo(peer) =
            peer.ok_or_else(|| Error::internal("the server does not tell who connects"))?;
        let device = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self {
            address: peer.ip(),
            known_device: SessionCookie::read_device(&parts.headers).map(str::to_owned),
            device: device.unwrap_or("unknown").to_owned(),
        })
    }
}
