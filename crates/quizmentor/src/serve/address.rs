//! Whose a connection and a request are, and how many connections each may have.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::config::Config;

/// Header to which each proxy adds whom it serves.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address that a request comes from: the peer, or whom trusted proxies name.
pub(super) fn client(peer: SocketAddr, headers: &HeaderMap, proxies: &[IpNet]) -> SocketAddr {
    if !is_trusted(peer.ip(), proxies) {
        return peer;
    }
    let hops = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = hops.flat_map(|value| value.split(',')).map(str::trim).collect();
    let mut client = peer;
    for hop in hops.into_iter().rev() {
        let address = hop.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0));
        let Ok(address) = address.or_else(|_| hop.parse()) else { break };
        client = address;
        if !is_trusted(client.ip(), proxies) {
            break;
        }
    }
    client
}

fn is_trusted(address: IpAddr, proxies: &[IpNet]) -> bool {
    let address = address.to_canonical();
    proxies.iter().any(|network| network.contains(&address))
}

/// How many connections each address has.
#[derive(Default)]
pub(super) struct Shares(Mutex<HashMap<IpAddr, u32>>);

/// One of an address's connections, until dropped; none of a trusted proxy's.
pub(super) struct Share(Option<(Arc<Shares>, IpAddr)>);

impl Shares {
    /// `None` when the address has as many as it may.
    pub(super) fn take(self: &Arc<Self>, peer: IpAddr, config: &Config) -> Option<Share> {
        if is_trusted(peer, &config.server.trusted_proxies) {
            return Some(Share(None));
        }
        let address = network(peer);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= config.limits.connections_per_address {
            return None;
        }
        *count += 1;
        Some(Share(Some((Arc::clone(self), address))))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some((shares, address)) = &self.0 else { return };
        let mut counts = shares.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(address);
            }
        }
    }
}

/// IPv6 hosts have a /64 each.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let mut config = crate::config::load(None, []).unwrap();
        config.limits.connections_per_address = 2;
        config.server.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        config
    }

    #[test]
    fn an_address_has_its_share_and_gives_it_back() {
        let (shares, config) = (Arc::new(Shares::default()), config());
        let take = |peer: &str| shares.take(peer.parse().unwrap(), &config);
        let first = take("192.0.2.1").unwrap();
        let _second = take("::ffff:192.0.2.1").unwrap();
        assert!(take("192.0.2.1").is_none());
        let _other = take("192.0.2.2").unwrap();
        drop(first);
        let _again = take("192.0.2.1").unwrap();
        let _host = (take("2001:db8::1").unwrap(), take("2001:db8::2").unwrap());
        assert!(take("2001:db8::3").is_none(), "neighbours in a /64 share");
        let proxied: Vec<_> = (0..10).map(|_| take("10.1.2.3").unwrap()).collect();
        drop((proxied, _second, _other, _again, _host));
        assert!(shares.0.lock().unwrap().is_empty(), "nothing is kept of who has gone");
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let proxies = config().server.trusted_proxies;
        let of = |peer: &str, forwarded: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append(FORWARDED_FOR, value.parse().unwrap());
            }
            client(peer.parse().unwrap(), &headers, &proxies).ip().to_string()
        };
        assert_eq!(of("192.0.2.1:5", &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(of("10.0.0.1:5", &[]), "10.0.0.1");
        assert_eq!(of("10.0.0.1:5", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(of("10.0.0.1:5", &["203.0.113.9, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(of("10.0.0.1:5", &["203.0.113.9", "198.51.100.1, 10.9.9.9"]), "198.51.100.1");
        assert_eq!(of("10.0.0.1:5", &["198.51.100.1:443"]), "198.51.100.1");
        assert_eq!(of("10.0.0.1:5", &["203.0.113.9, unknown, 10.9.9.9"]), "10.9.9.9");
        assert_eq!(of("[::ffff:10.0.0.1]:5", &["2001:db8::1"]), "2001:db8::1");
    }
}
