//! A caller of mimir-rls's rate limit service, like Envoy's ratelimit filter or another proxy.

use proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use proto::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;
use proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

/// Descriptors in one request of [`RateLimitCaller::charge_each`].
const AT_ONCE: usize = 100;

/// A connection to `envoy.service.ratelimit.v3.RateLimitService`.
#[derive(Debug)]
pub struct RateLimitCaller {
    runtime: Runtime,
    client: RateLimitServiceClient<Channel>,
}

impl RateLimitCaller {
    /// Connects to a mimir-rls.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn connect(grpc_port: u16) -> Self {
        let runtime = Runtime::new().expect("a runtime can be started");
        let endpoint = Endpoint::try_from(format!("http://127.0.0.1:{grpc_port}")).expect("a loopback address");
        let channel = runtime.block_on(endpoint.connect()).expect("mimir-rls accepts");
        Self { runtime, client: RateLimitServiceClient::new(channel) }
    }

    /// Charges hits with one descriptor: `tenant` for samples, `tenant_requests` for requests.
    ///
    /// # Panics
    /// When the answer is an error.
    #[must_use]
    pub fn charge(&self, key: &str, tenant: &str, hits: u64) -> RateLimitResponse {
        self.send(vec![descriptor(key, tenant, hits)])
    }

    /// Charges one sample to each tenant.
    ///
    /// # Panics
    /// When an answer is an error, or has not one status for each.
    pub fn charge_each(&self, tenants: &[String]) {
        for tenants in tenants.chunks(AT_ONCE) {
            let answer = self.send(tenants.iter().map(|tenant| descriptor("tenant", tenant, 1)).collect());
            assert_eq!(answer.statuses.len(), tenants.len());
        }
    }

    fn send(&self, descriptors: Vec<RateLimitDescriptor>) -> RateLimitResponse {
        let request = RateLimitRequest { domain: "mimir".to_owned(), descriptors, hits_addend: 0 };
        let answer = self.runtime.block_on(self.client.clone().should_rate_limit(request));
        answer.expect("a rate limit call ends without an error").into_inner()
    }
}

fn descriptor(key: &str, tenant: &str, hits: u64) -> RateLimitDescriptor {
    let entry = Entry { key: key.to_owned(), value: tenant.to_owned().into_bytes().into() };
    RateLimitDescriptor { entries: vec![entry], hits_addend: Some(hits), ..RateLimitDescriptor::default() }
}
