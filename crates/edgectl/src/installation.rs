//! An installation of the edge: where its programs are, what they say, and what is wrong. `edgectl check` without a file and `edgectl diagnose` print it.
//!
//! All programs are asked first. Then each module judges its hop by what the others said too: a push that got no decision is no fault of the front door.

use futures_util::join;
use http::HeaderValue;
use http::header::ACCEPT;
use limits::MimirVersion;
use limits_source::DefaultLimits;

mod before;
mod document;
mod edge_limits;
mod envoy;
mod finding;
mod front;
mod mimir;
mod mimir_pages;
mod mimir_rls;
mod overrides_sync;
mod place;
mod push;
mod scrape;
mod server;
pub(crate) mod symbols;
mod words;

pub(crate) use finding::{Finding, Hop, Status};

use crate::args::{ExtraHeaders, InstallationArgs};
use crate::edge_api::{EdgeApi, EdgeError, Port, Replica};
use crate::mimir::MimirClient;
use place::Place;
use server::{Program, Server};

/// What flags say of Mimir.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Those of tenants without an override.
    pub(crate) defaults: Option<DefaultLimits>,
    pub(crate) version: Option<MimirVersion>,
}

/// What is known of an installation.
struct Seen<'a> {
    args: &'a InstallationArgs,
    place: Place,
    envoy: envoy::Seen,
    rls: Program,
    sync: Program,
    mimir: Option<mimir::Seen>,
    pushes: push::Pushes,
}

/// Looks at every program, and sends the probe pushes that the flags allow. The findings are in the order of the hops.
///
/// # Errors
/// A file of the flags cannot be used.
pub(crate) async fn look(args: &InstallationArgs, known: &Known) -> Result<Vec<Finding>, EdgeError> {
    let api = &args.api;
    let envoy_pushes = server::find(api, Port::EnvoyPushes, args.envoy.as_slice())?;
    let envoy_metrics = server::find(api, Port::EnvoyMetrics, &args.envoy_admin)?;
    let sync = server::find(api, Port::OverridesSync, &args.overrides_sync)?;
    let rls = server::found(EdgeApi::new(api))?;
    let mimir = mimir_client(args)?;
    let doors = push::doors(args, &envoy_pushes)?;
    let ((envoy, rls_servers, sync_servers, mimir), pushes) = join!(
        async {
            join!(
                envoy::look(envoy_pushes, envoy_metrics),
                Server::visit_all(&rls),
                Server::visit_all(&sync),
                mimir::look(mimir, known.version.as_ref()),
            )
        },
        push::send(&doors, &rls),
    );
    let (rls, sync) = (Program { found: rls, servers: rls_servers }, Program { found: sync, servers: sync_servers });
    let replicas = [rls.found.replicas(), sync.found.replicas(), envoy.replicas()].into_iter().flatten();
    let place = Place::new(args, &replicas.map(Replica::name).collect::<Vec<_>>());
    let seen = Seen { args, place, envoy, rls, sync, mimir, pushes };
    let mut findings = envoy::findings(&seen);
    findings.extend(mimir_rls::findings(&seen));
    findings.extend(overrides_sync::findings(&seen));
    findings.extend(document::findings(&seen, known).await);
    findings.extend(mimir::findings(&seen));
    // Last: what a hop says of itself comes before what a push says of it.
    findings.extend(front::findings(&seen));
    findings.sort_by_key(|finding| finding.hop);
    Ok(findings)
}

/// Looks at the cluster, the ConfigMap and the Mimir that are to have an edge.
///
/// # Errors
/// A file of the flags cannot be used.
pub(crate) async fn look_before(args: &InstallationArgs, known: &Known) -> Result<Vec<Finding>, EdgeError> {
    let mimir = mimir::look(mimir_client(args)?, known.version.as_ref()).await;
    let place = Place::new(args, &[]);
    let mut findings = before::kubernetes(args, &place);
    findings.extend(document::of_config_map(args, &place, mimir.as_ref(), known).0);
    findings.extend(mimir::before(&place, mimir.as_ref()));
    Ok(findings)
}

/// Mimir's pages that have a form for programs are asked for in it.
fn mimir_client(args: &InstallationArgs) -> Result<Option<MimirClient>, EdgeError> {
    let mut mimir = args.mimir.clone();
    mimir.credentials.extra_headers.push(ExtraHeaders(vec![(ACCEPT, HeaderValue::from_static("application/json"))]));
    MimirClient::new(&mimir, args.api.timeout)
}
