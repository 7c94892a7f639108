//! `ShouldRateLimit` by Limitador's library, since its server is in no registry: one call of the library for a request, as that server makes it.
//!
//! usage: limitador-shell PORT LIMITS [REDIS_URL]
//!
//! With 1 limit all tenants have the same, each with a counter of its own; with more, each of so many tenants has a limit of its own. Counters are in
//! memory, or in Redis.

use std::collections::HashMap;
use std::error::Error;

use limitador::limit::{Context, Limit, Namespace};
use limitador::storage::redis::AsyncRedisStorage;
use limitador::{AsyncRateLimiter, CheckResult, RateLimiter};
use proto::envoy::service::ratelimit::v3::rate_limit_response::Code;
use proto::envoy::service::ratelimit::v3::rate_limit_service_server::{RateLimitService, RateLimitServiceServer};
use proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

const DOMAIN: &str = "mimir";
/// So much that nothing is limited.
const HITS_A_SECOND: u64 = 1 << 40;
const COUNTERS: u64 = 1_000_000;

enum Limiter {
    InMemory(RateLimiter),
    InRedis(AsyncRateLimiter),
}

impl Limiter {
    async fn check(&self, domain: String, context: &Context<'_>, hits: u64) -> Result<CheckResult, Status> {
        let namespace = Namespace::from(domain);
        let checked = match self {
            Self::InMemory(limiter) => limiter.check_rate_limited_and_update(&namespace, context, hits),
            Self::InRedis(limiter) => limiter.check_rate_limited_and_update(&namespace, context, hits).await,
        };
        checked.map_err(|error| Status::unavailable(error.to_string()))
    }
}

#[tonic::async_trait]
impl RateLimitService for Limiter {
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        let RateLimitRequest { domain, descriptors, hits_addend } = request.into_inner();
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let entries = |descriptor: proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor| {
            descriptor.entries.into_iter().map(|entry| (entry.key, text(&entry.value))).collect::<HashMap<_, _>>()
        };
        let mut context = Context::default();
        context.list_binding("descriptors".to_owned(), descriptors.into_iter().map(entries).collect());
        let checked = self.check(domain, &context, hits_addend.max(1).into()).await?;
        let mut response = RateLimitResponse::default();
        response.set_overall_code(if checked.limited { Code::OverLimit } else { Code::Ok });
        Ok(Response::new(response))
    }
}

/// The limits of so many tenants.
fn limits(count: usize) -> Result<Vec<Limit>, Box<dyn Error>> {
    if count == 1 {
        return Ok(vec![Limit::new(DOMAIN, HITS_A_SECOND, 1, vec![], vec!["descriptors[0].tenant".try_into()?])]);
    }
    let of_tenant = |tenant: usize| {
        let condition = format!("descriptors[0].tenant == 'tenant-{tenant:05}'").try_into()?;
        Ok(Limit::new(DOMAIN, HITS_A_SECOND, 1, vec![condition], vec![]))
    };
    (0..count).map(of_tenant).collect()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (port, count, redis) = match arguments.as_slice() {
        [port, count] => (port, count, None),
        [port, count, redis] => (port, count, Some(redis)),
        _ => return Err("usage: limitador-shell PORT LIMITS [REDIS_URL]".into()),
    };
    let limits = limits(count.parse()?)?;
    let limiter = match redis {
        None => {
            let limiter = RateLimiter::new(COUNTERS);
            limits.into_iter().for_each(|limit| drop(limiter.add_limit(limit)));
            Limiter::InMemory(limiter)
        }
        Some(url) => {
            let limiter = AsyncRateLimiter::new_with_storage(Box::new(AsyncRedisStorage::new(url).await?));
            limits.into_iter().for_each(|limit| drop(limiter.add_limit(limit)));
            Limiter::InRedis(limiter)
        }
    };
    let address = format!("127.0.0.1:{port}").parse()?;
    Server::builder().add_service(RateLimitServiceServer::new(limiter)).serve(address).await?;
    Ok(())
}
