//! The flags of all subcommands that ask Mimir. The variables are those of mimirtool, with its meanings.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Args};
use http::{HeaderName, HeaderValue};
use limits_source::MimirUrl;

use super::header_value;

/// Where Mimir is, and who asks. `Debug` omits keys, tokens and the values of extra headers.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct MimirArgs {
    /// Address of Mimir, such as http://mimir-gateway:80, with its path prefix if it has one. Without it, Mimir is not asked
    #[arg(id = "mimir_url", long = "mimir", value_name = "URL", env = "MIMIR_ADDRESS", value_parser = Unrepeated(mimir_url))]
    pub(crate) url: Option<MimirUrl>,

    /// Tenant as which Mimir is asked (X-Scope-OrgID) [default: none, for a Mimir without tenants]
    #[arg(id = "mimir_tenant", long = "mimir-tenant", value_name = "TENANT", env = "MIMIR_TENANT_ID", value_parser = header_value)]
    pub(crate) tenant: Option<HeaderValue>,

    #[command(flatten)]
    pub(crate) credentials: Credentials,
}

/// How edgectl proves to Mimir, or to a gateway in front of it, who asks.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Credentials {
    /// User of basic authentication [default: the tenant, if there is a key]
    #[arg(id = "mimir_user", long = "mimir-user", value_name = "USER", env = "MIMIR_API_USER")]
    pub(crate) user: Option<String>,

    /// Key (password) of basic authentication. In the environment, other users of the machine do not see it
    #[arg(id = "mimir_key", long = "mimir-key", value_name = "KEY", env = "MIMIR_API_KEY", hide_env_values = true, value_parser = Unrepeated(secret))]
    pub(crate) key: Option<Secret>,

    /// Bearer token, in place of basic authentication
    #[arg(id = "mimir_auth_token", long = "mimir-auth-token", value_name = "TOKEN", env = "MIMIR_AUTH_TOKEN", hide_env_values = true, value_parser = Unrepeated(secret))]
    pub(crate) auth_token: Option<Secret>,

    /// Header to add to each request. Repeatable; in the environment, one a line
    #[arg(id = "mimir_header", long = "mimir-header", value_name = "NAME=VALUE", env = "MIMIR_EXTRA_HEADERS", hide_env_values = true, value_parser = Unrepeated(extra_headers))]
    pub(crate) extra_headers: Vec<ExtraHeaders>,

    /// File with the CAs of Mimir, as PEM [default: the system's, or those of SSL_CERT_FILE]
    #[arg(id = "mimir_tls_ca", long = "mimir-tls-ca", value_name = "FILE", env = "MIMIR_TLS_CA_PATH")]
    pub(crate) tls_ca: Option<PathBuf>,

    /// File with the certificate that is shown to Mimir, as PEM
    #[arg(
        id = "mimir_tls_cert",
        long = "mimir-tls-cert",
        value_name = "FILE",
        env = "MIMIR_TLS_CERT_PATH",
        requires = "mimir_tls_key"
    )]
    pub(crate) tls_cert: Option<PathBuf>,

    /// File with the private key of that certificate, as PEM
    #[arg(
        id = "mimir_tls_key",
        long = "mimir-tls-key",
        value_name = "FILE",
        env = "MIMIR_TLS_KEY_PATH",
        requires = "mimir_tls_cert"
    )]
    pub(crate) tls_key: Option<PathBuf>,

    /// Refused if true: certificates are always verified. It is here for the variable of mimirtool
    #[arg(id = "mimir_tls_insecure_skip_verify", long = "mimir-tls-insecure-skip-verify", value_name = "BOOL", env = "MIMIR_TLS_INSECURE_SKIP_VERIFY", hide = true, value_parser = verified)]
    _verified: Option<Verified>,
}

/// A key or a token.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret")
    }
}

/// Headers of one flag, or of all lines of the variable.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExtraHeaders(pub(crate) Vec<(HeaderName, HeaderValue)>);

/// That certificates are verified.
#[derive(Debug, Clone, Copy)]
struct Verified;

/// Parses a value that no error repeats, because it can hold a password.
#[derive(Clone, Copy)]
struct Unrepeated<T>(fn(&str) -> Result<T, String>);

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Unrepeated<T> {
    type Value = T;

    fn parse_ref(&self, command: &clap::Command, flag: Option<&Arg>, value: &OsStr) -> Result<T, clap::Error> {
        let text = value.to_str().ok_or_else(|| "is not UTF-8".to_owned());
        text.and_then(self.0).map_err(|why| {
            let flag = flag.map(ToString::to_string).unwrap_or_default();
            clap::Error::raw(ErrorKind::ValueValidation, format!("{flag}: {why}\n")).with_cmd(command)
        })
    }
}

fn mimir_url(text: &str) -> Result<MimirUrl, String> {
    MimirUrl::parse(text, "/").map_err(|error| error.to_string())
}

fn secret(text: &str) -> Result<Secret, String> {
    if text.chars().any(char::is_control) {
        return Err("has a control character, such as a line break at its end".to_owned());
    }
    Ok(Secret(text.to_owned()))
}

/// As mimirtool reads its variable: each line is a header, with `=` or `:` between name and value.
fn extra_headers(text: &str) -> Result<ExtraHeaders, String> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(extra_header).collect::<Result<_, _>>().map(ExtraHeaders)
}

fn extra_header(line: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = line.split_once(['=', ':']).ok_or("each line must be NAME=VALUE")?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| "a line begins with no header name")?;
    let mut value = HeaderValue::from_bytes(value.trim().as_bytes())
        .map_err(|_| format!("the value of {name} can't be sent in a header: control characters"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// Go's booleans, of which only the false ones are possible.
fn verified(text: &str) -> Result<Verified, String> {
    match text {
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Verified),
        _ => Err("edgectl always verifies the certificate of Mimir: unset MIMIR_TLS_INSECURE_SKIP_VERIFY, and name \
                  the CA with --mimir-tls-ca or MIMIR_TLS_CA_PATH"
            .to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::MimirArgs;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        mimir: MimirArgs,
    }

    fn parse(arguments: &[&str]) -> Result<MimirArgs, clap::Error> {
        Cli::try_parse_from([&["edgectl"], arguments].concat()).map(|cli| cli.mimir)
    }

    #[test]
    fn headers_are_written_as_mimirtool_reads_them() {
        let mimir = parse(&["--mimir-header", "X-One=1=a\r\n\nX-Two: b:c\n", "--mimir-header", "x-three=3"]).unwrap();
        let headers = mimir.credentials.extra_headers.iter().flat_map(|headers| &headers.0);
        let headers: Vec<_> = headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(headers, [("x-one", "1=a"), ("x-two", "b:c"), ("x-three", "3")]);
    }

    #[test]
    fn no_error_and_no_debug_text_repeats_a_secret() {
        for arguments in [
            &["--mimir", "http://user:hunter2@mimir:8080"][..],
            &["--mimir", "hunter2"],
            &["--mimir-key", "hunter2\n"],
            &["--mimir-auth-token", "hunter2\n"],
            &["--mimir-header", "hunter2"],
            &["--mimir-header", "Authorization=hunter2\u{7f}"],
        ] {
            let error = parse(arguments).expect_err(arguments[1]).to_string();
            assert!(error.contains(arguments[0]) && !error.contains("hunter2"), "{error}");
        }
        let secret = ["--mimir-key", "hunter2", "--mimir-auth-token", "hunter2", "--mimir-header", "a=hunter2"];
        let shown = format!("{:?}", parse(&secret).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn unverified_certificates_are_refused() {
        assert!(parse(&["--mimir-tls-insecure-skip-verify", "false"]).is_ok());
        let error = parse(&["--mimir-tls-insecure-skip-verify", "true"]).expect_err("refused").to_string();
        assert!(error.contains("always verifies") && error.contains("MIMIR_TLS_CA_PATH"), "{error}");
    }

    #[test]
    fn a_certificate_needs_its_key() {
        assert!(parse(&["--mimir-tls-cert", "c.pem"]).is_err());
        assert!(parse(&["--mimir-tls-key", "k.pem"]).is_err());
        assert!(parse(&["--mimir-tls-cert", "c.pem", "--mimir-tls-key", "k.pem"]).is_ok());
    }
}
