//! The requests of pushes. What is the same for all of them is made once.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use remote_write::encode;

use crate::args::LoadArgs;
use crate::edge_api::EdgeError;
use crate::mimir::{self, TENANT};

const REMOTE_WRITE_VERSION: HeaderName = HeaderName::from_static("x-prometheus-remote-write-version");
/// Prometheus sends it with pushes that it repeats.
const RETRY_ATTEMPT: HeaderName = HeaderName::from_static("retry-attempt");

/// Makes requests.
#[derive(Debug)]
pub(crate) struct Requests {
    path: Uri,
    /// Of all pushes, without those of `--header`.
    common: HeaderMap,
    tenants: Vec<Tenant>,
    replacing: Vec<(HeaderName, HeaderValue)>,
}

/// A tenant that takes its turn.
#[derive(Debug)]
struct Tenant {
    name: HeaderValue,
    /// With the tenant as its user.
    authorization: Option<HeaderValue>,
}

impl Requests {
    /// # Errors
    /// The credentials contradict each other.
    pub(crate) fn new(args: &LoadArgs) -> Result<Self, EdgeError> {
        let credentials = &args.credentials;
        let mut common = mimir::headers(credentials, None)?;
        common.insert(HOST, args.url.authority.clone());
        common.insert(CONTENT_TYPE, HeaderValue::from_static(encode::content_type_header(args.protocol)));
        common.insert(CONTENT_ENCODING, HeaderValue::from_static(encode::CONTENT_ENCODING));
        common.insert(REMOTE_WRITE_VERSION, HeaderValue::from_static(encode::version_header(args.protocol)));
        let is_user = credentials.key.is_some() && credentials.user.is_none();
        let tenant = |name: HeaderValue| {
            let authorization = if is_user { mimir::authorization(credentials, Some(&name))? } else { None };
            Ok(Tenant { name, authorization })
        };
        let tenants = names(args).into_iter().map(tenant).collect::<Result<_, EdgeError>>()?;
        Ok(Self { path: args.url.path.clone(), common, tenants, replacing: args.headers.clone() })
    }

    /// The names of the tenants, in their order.
    pub(crate) fn tenants(&self) -> impl ExactSizeIterator<Item = &HeaderValue> {
        self.tenants.iter().map(|tenant| &tenant.name)
    }

    /// The index of the tenant of push `number`; 0 without tenants.
    pub(crate) fn turn(&self, number: u64) -> usize {
        usize::try_from(number % (self.tenants.len().max(1) as u64)).unwrap_or_default()
    }

    /// The request of a push of this tenant, which was sent `attempts` times before.
    pub(crate) fn request(&self, tenant: usize, attempts: u32, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.common.clone();
        let headers = request.headers_mut();
        if let Some(Tenant { name, authorization }) = self.tenants.get(tenant) {
            headers.insert(TENANT, name.clone());
            authorization.iter().for_each(|authorization| _ = headers.insert(AUTHORIZATION, authorization.clone()));
        }
        if attempts > 0 {
            headers.insert(RETRY_ATTEMPT, attempts.into());
        }
        for (name, _) in &self.replacing {
            headers.remove(name);
        }
        for (name, value) in &self.replacing {
            headers.append(name.clone(), value.clone());
        }
        request
    }
}

fn names(args: &LoadArgs) -> Vec<HeaderValue> {
    match args.tenants {
        None => args.named_tenants.clone(),
        // A name of digits and letters is always possible in a header.
        Some(count) => (1..=count).filter_map(|number| format!("load-{number:06}").parse().ok()).collect(),
    }
}
