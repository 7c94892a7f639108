//! The page on which people see what a server does: static files at `/` and below [`FOLDER`], which are in the program.
//!
//! The files hold no data and need no token. Their scripts read the server's HTTP API, with the token that the reader gives them, and change nothing.
//! Invariant: the page loads nothing from elsewhere, and a browser would block it: [`POLICY`] allows no inline script or style, no other host, no frame
//! and no form.

use std::hash::Hasher;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use fnv::FnvHasher;

/// The folder of all files but `/`.
pub const FOLDER: &str = "/assets/";

/// What a browser may load and run on the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
                      form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // Asked for again each time, and answered by 304 unless the program is another: a file keeps its name from build to build.
    (header::CACHE_CONTROL, "no-cache"),
];
/// What stands for the program's name in the page.
const PROGRAM: &str = "PROGRAM";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The names, types and contents of all files in the folder.
const FILES: [(&str, &str, &[u8]); 16] = [
    ("style.css", CSS, include_bytes!("../assets/style.css")),
    ("tables.css", CSS, include_bytes!("../assets/tables.css")),
    ("icon.svg", SVG, include_bytes!("../assets/icon.svg")),
    ("app.js", SCRIPT, include_bytes!("../assets/app.js")),
    ("api.js", SCRIPT, include_bytes!("../assets/api.js")),
    ("dom.js", SCRIPT, include_bytes!("../assets/dom.js")),
    ("format.js", SCRIPT, include_bytes!("../assets/format.js")),
    ("plot.js", SCRIPT, include_bytes!("../assets/plot.js")),
    ("state.js", SCRIPT, include_bytes!("../assets/state.js")),
    ("tenants.js", SCRIPT, include_bytes!("../assets/tenants.js")),
    ("tenant.js", SCRIPT, include_bytes!("../assets/tenant.js")),
    ("explain.js", SCRIPT, include_bytes!("../assets/explain.js")),
    ("help.js", SCRIPT, include_bytes!("../assets/help.js")),
    ("replicas.js", SCRIPT, include_bytes!("../assets/replicas.js")),
    ("problems.js", SCRIPT, include_bytes!("../assets/problems.js")),
    ("status.js", SCRIPT, include_bytes!("../assets/status.js")),
];

/// The server that the page is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Tenants, problems and status.
    MimirRls,
    /// Problems and status.
    OverridesSync,
}

impl Program {
    const fn name(self) -> &'static str {
        match self {
            Self::MimirRls => "mimir-rls",
            Self::OverridesSync => "overrides-sync",
        }
    }
}

/// A file as it is served.
struct File {
    content_type: &'static str,
    content: Bytes,
    tag: String,
}

/// The routes of the page.
pub fn routes(program: Program) -> Router {
    let page = include_str!("../assets/index.html").replace(PROGRAM, program.name());
    let folder = FILES.map(|(name, content_type, content)| {
        (format!("{FOLDER}{name}"), File::new(content_type, Bytes::from_static(content)))
    });
    let files = [("/".to_owned(), File::new(HTML, page.into()))].into_iter().chain(folder);
    files.fold(Router::new(), |router, (path, file)| {
        let file = Arc::new(file);
        let answer = move |request: HeaderMap| {
            let answer = file.answer(&request);
            async move { answer }
        };
        router.route(&path, get(answer))
    })
}

impl File {
    fn new(content_type: &'static str, content: Bytes) -> Self {
        let mut hasher = FnvHasher::default();
        hasher.write(&content);
        Self { content_type, tag: format!("\"{:016x}\"", hasher.finish()), content }
    }

    fn answer(&self, request: &HeaderMap) -> Response {
        let known = request.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).unwrap_or_default();
        // A proxy that compresses makes the tag a weak one.
        let is_known = known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == self.tag);
        let mut response = if is_known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(header::CONTENT_TYPE, self.content_type)], self.content.clone()).into_response()
        };
        let headers = response.headers_mut();
        headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
        if let Ok(tag) = HeaderValue::from_str(&self.tag) {
            headers.insert(header::ETAG, tag);
        }
        response
    }
}

#[cfg(test)]
mod tests;
