//! What the `OTEL_*` variables of OpenTelemetry's specification say about traces. A value that has no effect here, but would elsewhere, is an error.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Uri};
use limits_source::parse_http_url;
use opentelemetry_sdk::trace::Sampler;

/// The specification's default for an export.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Where a receiver of OTLP over HTTP takes traces.
const TRACES_PATH: &str = "v1/traces";
/// How the names of the settings begin that are judged: another one with such a name is mistyped, or not supported.
const JUDGED: [&str; 4] = ["OTEL_EXPORTER_OTLP_", "OTEL_TRACES_", "OTEL_BSP_", "OTEL_SPAN_"];
/// Those of other signals.
const OTHERS: [&str; 3] = ["OTEL_EXPORTER_OTLP_METRICS_", "OTEL_EXPORTER_OTLP_LOGS_", "OTEL_EXPORTER_OTLP_PROFILES_"];
/// The settings of an exporter, also with `TRACES_` before them.
const OF_EXPORTER: [&str; 6] = ["ENDPOINT", "PROTOCOL", "HEADERS", "TIMEOUT", "COMPRESSION", "INSECURE"];
const OF_TRACES: [&str; 3] = ["OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"];
const EXPORTER: &str = "OTEL_EXPORTER_OTLP_";
const EXPORTER_OF_TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_";
const SERVICE_NAME: &str = "mimir-rls";

/// Where spans go, and which are made. The headers, which may hold secrets, and the attributes of the resource stay in their variables.
#[derive(Clone, Debug)]
pub(crate) struct TraceSettings {
    pub(super) transport: Transport,
    /// With the path.
    pub(super) endpoint: Uri,
    pub(super) timeout: Duration,
    pub(super) sampler: Sampler,
    /// `None` where a variable names the service.
    pub(super) service_name: Option<&'static str>,
}

/// How spans are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Grpc,
    Http,
}

impl TraceSettings {
    /// Those of the environment; `None` if it does not turn traces on.
    ///
    /// # Errors
    /// A variable has a value that is invalid, or not supported.
    pub(crate) fn from_environment() -> anyhow::Result<Option<Self>> {
        let named = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let ours = named.filter(|(name, _)| name.starts_with("OTEL_"));
        let read = ours.map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => bail!("{name} is no UTF-8; set it to text, or unset it"),
        });
        Self::read(read.collect::<anyhow::Result<_>>()?)
    }

    pub(super) fn read(mut variables: BTreeMap<String, String>) -> anyhow::Result<Option<Self>> {
        variables.retain(|_, value| !value.is_empty());
        let of = Variables(variables);
        if of.is_disabled()? {
            return Ok(None);
        }
        of.reject_unknown()?;
        let Some((name, endpoint)) = of.of_exporter("ENDPOINT") else { return Ok(None) };
        let transport = of.transport()?;
        let endpoint = match transport {
            Transport::Http if !name.starts_with(EXPORTER_OF_TRACES) => {
                Cow::from(format!("{}/{TRACES_PATH}", endpoint.trim_end_matches('/')))
            }
            _ => Cow::from(endpoint),
        };
        let endpoint = parse_http_url(&endpoint).with_context(|| name.clone())?;
        if transport == Transport::Grpc && endpoint.scheme() == Some(&Scheme::HTTPS) {
            bail!(
                "{name} is https; mimir-rls exports over https by http/protobuf only, set OTEL_EXPORTER_OTLP_PROTOCOL to that"
            );
        }
        of.reject_unsupported()?;
        let service_name = (!of.names_service()).then_some(SERVICE_NAME);
        Ok(Some(Self { transport, endpoint, timeout: of.timeout()?, sampler: of.sampler()?, service_name }))
    }
}

/// The variables that are set to something.
struct Variables(BTreeMap<String, String>);

impl Variables {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A setting of the exporter: the variable for traces, or the one for all signals; and its name.
    fn of_exporter(&self, setting: &str) -> Option<(String, &str)> {
        [EXPORTER_OF_TRACES, EXPORTER].into_iter().find_map(|prefix| {
            let name = format!("{prefix}{setting}");
            let value = self.get(&name)?;
            Some((name, value))
        })
    }

    fn is_disabled(&self) -> anyhow::Result<bool> {
        let is_disabled = match self.get("OTEL_SDK_DISABLED").map(str::to_ascii_lowercase).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => bail!("OTEL_SDK_DISABLED is {other:?}; it must be true or false"),
        };
        match self.get("OTEL_TRACES_EXPORTER") {
            _ if is_disabled => Ok(true),
            None | Some("otlp") => Ok(false),
            Some("none") => Ok(true),
            Some(other) => bail!("OTEL_TRACES_EXPORTER is {other:?}; mimir-rls has otlp and none"),
        }
    }

    /// Also without a receiver, which may be what the mistyped variable names.
    fn reject_unknown(&self) -> anyhow::Result<()> {
        let is_known = |name: &str| {
            let setting = name.strip_prefix(EXPORTER_OF_TRACES).or_else(|| name.strip_prefix(EXPORTER));
            setting.is_some_and(|setting| OF_EXPORTER.contains(&setting)) || OF_TRACES.contains(&name)
        };
        let is_judged = |name: &str| {
            JUDGED.iter().any(|prefix| name.starts_with(prefix))
                && !OTHERS.iter().any(|prefix| name.starts_with(prefix))
        };
        match self.0.keys().find(|name| is_judged(name) && !is_known(name)) {
            None => Ok(()),
            Some(name) if name.ends_with("CERTIFICATE") || name.ends_with("CLIENT_KEY") => {
                bail!("mimir-rls does not have {name}; unset it: SSL_CERT_FILE names the CAs of https")
            }
            Some(name) => bail!("mimir-rls does not have {name}; unset it, or correct its name"),
        }
    }

    fn transport(&self) -> anyhow::Result<Transport> {
        match self.of_exporter("PROTOCOL") {
            None | Some((_, "http/protobuf")) => Ok(Transport::Http),
            Some((_, "grpc")) => Ok(Transport::Grpc),
            Some((name, other)) => {
                bail!("{name} is {other:?}; mimir-rls has http/protobuf, which is the default, and grpc")
            }
        }
    }

    fn timeout(&self) -> anyhow::Result<Duration> {
        let Some((name, value)) = self.of_exporter("TIMEOUT") else { return Ok(TIMEOUT) };
        match value.parse() {
            Ok(millis @ 1..) => Ok(Duration::from_millis(millis)),
            _ => bail!("{name} is {value:?}; it must be a number of milliseconds, for example 10000"),
        }
    }

    fn sampler(&self) -> anyhow::Result<Sampler> {
        let name = self.get("OTEL_TRACES_SAMPLER").unwrap_or("parentbased_always_on");
        let (is_by_parent, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name),
        };
        let root = match root {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => Sampler::TraceIdRatioBased(self.ratio()?),
            _ => bail!(
                "OTEL_TRACES_SAMPLER is {name:?}; mimir-rls has always_on, always_off and traceidratio, and each of them after parentbased_"
            ),
        };
        Ok(if is_by_parent { Sampler::ParentBased(Box::new(root)) } else { root })
    }

    fn ratio(&self) -> anyhow::Result<f64> {
        let Some(value) = self.get("OTEL_TRACES_SAMPLER_ARG") else { return Ok(1.0) };
        match value.parse() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
            _ => bail!("OTEL_TRACES_SAMPLER_ARG is {value:?}; it must be a number between 0 and 1, for example 0.01"),
        }
    }

    fn names_service(&self) -> bool {
        let attributes = self.get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let mut keys = attributes.split(',').filter_map(|attribute| attribute.split_once('='));
        self.get("OTEL_SERVICE_NAME").is_some() || keys.any(|(key, _)| key.trim() == "service.name")
    }

    /// What the SDK would ignore without a word.
    fn reject_unsupported(&self) -> anyhow::Result<()> {
        if let Some((name, value)) = self.of_exporter("COMPRESSION").filter(|(_, value)| *value != "none") {
            bail!("{name} is {value:?}; mimir-rls exports without compression, set it to none or unset it");
        }
        let propagators = self.get("OTEL_PROPAGATORS").unwrap_or("tracecontext");
        if !propagators.split(',').any(|one| one.trim() == "tracecontext") {
            bail!("OTEL_PROPAGATORS is {propagators:?}; mimir-rls has tracecontext, add that or unset it");
        }
        if let Some((name, value)) = self.of_exporter("HEADERS") {
            // It is not shown: it may hold a secret.
            ensure!(pairs(value).all(is_header), "{name} is no list of headers such as api-key=secret,x-team=edge");
        }
        let attributes = self.get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        ensure!(
            pairs(attributes).all(|pair| pair.is_some_and(|(key, _)| !key.is_empty())),
            "OTEL_RESOURCE_ATTRIBUTES is {attributes:?}; it must be a list such as deployment.environment=prod,team=edge"
        );
        Ok(())
    }
}

/// The pairs of a list such as `a=b,c=d`; `None` for an element that is none.
fn pairs(list: &str) -> impl Iterator<Item = Option<(&str, &str)>> {
    let elements = list.split_terminator(',').map(|element| element.split_once('='));
    elements.map(|pair| pair.map(|(key, value)| (key.trim(), value.trim())))
}

fn is_header(pair: Option<(&str, &str)>) -> bool {
    pair.is_some_and(|(name, value)| {
        !value.is_empty() && HeaderName::from_str(name).is_ok() && HeaderValue::from_str(value).is_ok()
    })
}

#[cfg(test)]
mod tests;
