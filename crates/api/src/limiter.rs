//! Rate limits by learner and by address.

use std::{net::IpAddr, time::Duration};

use axum::{extract::ConnectInfo, http::Extensions};
use quizmentor_core::LearnerId;

use crate::{App, Problem, hot};

/// What is limited, how often, and in which time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    name: &'static str,
    count: u32,
    window: Duration,
}

/// New guest accounts from one address. A class behind one router signs in within a minute.
pub(crate) const GUESTS: Limit =
    Limit { name: "guest", count: 12_000, window: Duration::from_mins(1) };
/// Tries of one-time codes from one address.
pub(crate) const LINKS: Limit = Limit { name: "link", count: 30, window: Duration::from_mins(1) };
/// Answers of one learner.
pub(crate) const ANSWERS: Limit =
    Limit { name: "answer", count: 1_200, window: Duration::from_mins(1) };
/// Requests of one learner to classify or validate.
pub(crate) const CLASSIFICATIONS: Limit =
    Limit { name: "classify", count: 1_200, window: Duration::from_mins(1) };

impl App {
    pub(crate) async fn limit_learner(
        &self,
        limit: Limit,
        learner: LearnerId,
    ) -> Result<(), Problem> {
        self.limit(limit, &hot::name(learner).to_string()).await
    }

    pub(crate) async fn limit_address(
        &self,
        limit: Limit,
        extensions: &Extensions,
    ) -> Result<(), Problem> {
        let address = extensions
            .get::<ConnectInfo<std::net::SocketAddr>>()
            .map(|ConnectInfo(peer)| peer.ip());
        match address {
            Some(address) => self.limit(limit, &network(address)).await,
            None => Ok(()),
        }
    }

    /// A cache that is away limits nothing: learning goes on.
    async fn limit(&self, limit: Limit, who: &str) -> Result<(), Problem> {
        let key = format!("limit:{}:{who}", limit.name);
        match self.cache.allow(&key, limit.count, limit.window).await {
            Ok(allowance) if !allowance.allowed => {
                Err(Problem::too_many_requests(allowance.retry_after.as_secs() + 1))
            }
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "rate limit skipped");
                Ok(())
            }
        }
    }
}

/// IPv6 hosts have a /64 each.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_in_a_64_share_a_limit() {
        let key = |text: &str| network(text.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:10.0.0.1"), "10.0.0.1");
    }
}
