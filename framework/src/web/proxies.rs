//! Proxies in front of this process, and the address of the client behind them.
//!
//! A header can say anything, so it is believed only from a trusted proxy, and only as far as trusted
//! proxies wrote it: each appends the address that it was called from, so the rightmost address that is
//! not a trusted proxy's own is the client's.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::FORWARDED;
use axum::http::{HeaderMap, HeaderName};

use crate::config::{Config, Network};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies whose word about the client's address is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    pub(super) networks: Vec<Network>,
    /// Whether they begin each connection with a header of the PROXY protocol.
    pub(super) speak_proxy_protocol: bool,
}

impl TrustedProxies {
    /// Trusts the configured addresses and networks.
    pub fn of(config: &Config) -> Self {
        Self { networks: config.trusted_proxies.clone(), speak_proxy_protocol: config.proxy_protocol }
    }

    /// Whether this is the address of a trusted proxy.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(address))
    }

    /// The client's address: the peer's, unless that is a trusted proxy and its headers say another.
    ///
    /// A proxy writes `Forwarded` or `X-Forwarded-For`, and passes on what the client wrote into the
    /// other. If both are there and disagree, one was invented, so the proxy's own address counts.
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        if self.networks.is_empty() || !self.trusts(peer.ip()) {
            return peer;
        }
        let listed = |header: HeaderName, parse: fn(&str) -> Option<IpAddr>| {
            headers.contains_key(&header).then(|| self.rightmost_untrusted(headers, header, parse))
        };
        let said = match (listed(X_FORWARDED_FOR, address), listed(FORWARDED, forwarded_for)) {
            (Some(one), Some(other)) if one != other => None,
            (Some(said), _) | (None, Some(said)) => said,
            (None, None) => None,
        };
        said.map_or(peer, |address| SocketAddr::new(address, 0))
    }

    /// The rightmost address in a list that no trusted proxy has; the leftmost if all of them are
    /// trusted. What stands left of something unreadable is not believed.
    fn rightmost_untrusted(
        &self,
        headers: &HeaderMap,
        header: HeaderName,
        parse: fn(&str) -> Option<IpAddr>,
    ) -> Option<IpAddr> {
        let lines: Vec<&str> =
            headers.get_all(header).iter().map(|line| line.to_str().unwrap_or_default()).collect();
        let mut nearest = None;
        for element in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            let Some(address) = parse(element.trim()) else { return nearest };
            nearest = Some(address.to_canonical());
            if !self.trusts(address) {
                return nearest;
            }
        }
        nearest
    }
}

/// An address with or without a port; IPv6 in brackets if it has one.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// The `for` of one element of `Forwarded` (RFC 7239).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let parameters = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut named = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    address(named.next()?.1.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, lines: &[(&'static str, &str)]) -> String {
        let networks = ["10.0.0.0/8", "fd00::/8", "192.0.2.7"].map(|network| network.parse().unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let peer = SocketAddr::new(peer.parse().unwrap(), 9);
        let proxies = TrustedProxies { networks: networks.to_vec(), speak_proxy_protocol: false };
        proxies.client(peer, &headers).ip().to_string()
    }

    #[test]
    fn the_rightmost_untrusted_address_is_the_clients() {
        for (peer, lines, expected) in [
            ("198.51.100.1", &[("x-forwarded-for", "203.0.113.9")][..], "198.51.100.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[("x-forwarded-for", "203.0.113.9")], "203.0.113.9"),
            ("::ffff:10.0.0.1", &[("x-forwarded-for", "::ffff:203.0.113.9")], "203.0.113.9"),
            ("192.0.2.7", &[("x-forwarded-for", "1.1.1.1, 203.0.113.9, 10.1.1.1")], "203.0.113.9"),
            (
                "10.0.0.1",
                &[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "203.0.113.9")],
                "203.0.113.9",
            ),
            ("10.0.0.1", &[("x-forwarded-for", "203.0.113.9:5555")], "203.0.113.9"),
            ("10.0.0.1", &[("x-forwarded-for", "[2001:db8::9]:5555")], "2001:db8::9"),
            ("10.0.0.1", &[("x-forwarded-for", "10.2.2.2, 10.3.3.3")], "10.2.2.2"),
            ("10.0.0.1", &[("x-forwarded-for", "203.0.113.9, unknown, 10.3.3.3")], "10.3.3.3"),
            ("10.0.0.1", &[("x-forwarded-for", "nonsense")], "10.0.0.1"),
            ("10.0.0.1", &[("x-forwarded-for", "")], "10.0.0.1"),
            (
                "10.0.0.1",
                &[("forwarded", "for=1.1.1.1, For=\"[2001:db8::9]:77\";proto=https")],
                "2001:db8::9",
            ),
            ("fd00::1", &[("forwarded", "for=203.0.113.9;by=fd00::1")], "203.0.113.9"),
            ("10.0.0.1", &[("forwarded", "proto=https")], "10.0.0.1"),
            // The client wrote one of them.
            ("10.0.0.1", &[("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "203.0.113.9")], "10.0.0.1"),
            (
                "10.0.0.1",
                &[("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "203.0.113.9")],
                "203.0.113.9",
            ),
        ] {
            assert_eq!(client(peer, lines), expected, "{peer} {lines:?}");
        }
    }
}
