use std::future::pending;

use axum::routing::get as get_route;
use prometheus::Registry;
use tokio::sync::oneshot;

use super::*;
use crate::testing::get;
use crate::{ConnectionCounts, observability_routes};

/// A server that serves nothing but probes, with tasks that `spawn` spawns, until it ends by itself.
async fn served(spawn: impl FnOnce(&Tasks)) -> anyhow::Result<(Readiness, anyhow::Result<()>)> {
    let registry = Registry::new();
    let counts = ConnectionCounts::new(&registry, "edge_closed_total")?;
    let http = HttpServer::bind("HTTP", ([127, 0, 0, 1], 0).into(), counts)?;
    let stop = CancellationToken::new();
    let (sources, tasks) = (stop.clone().drop_guard(), Tasks::new(stop));
    let readiness = Readiness::default();
    readiness.set_ready();
    spawn(&tasks);
    let serving = Serving {
        http,
        routes: observability_routes(registry, readiness.clone()),
        readiness: readiness.clone(),
        drain_delay: Duration::ZERO,
        drain_timeout: Duration::from_secs(20),
        tasks,
        sources,
        cache: None,
    };
    let grpc = |tasks: Tasks| async move {
        tasks.stop().cancelled().await;
        Ok(())
    };
    let ended = timeout(Duration::from_secs(20), serving.run(grpc, async {}, &Shutdown::default())).await?;
    Ok((readiness, ended))
}

#[tokio::test]
async fn a_failed_task_drains_the_server_and_is_its_error() -> anyhow::Result<()> {
    let panics = |tasks: &Tasks| tasks.spawn("control state", async { panic!("the test wants it") });
    let ends = |tasks: &Tasks| tasks.spawn("control state", async {});
    for (spawn, error) in [
        (Box::new(panics) as Box<dyn FnOnce(&Tasks)>, "the task \"control state\" panicked"),
        (Box::new(ends), "the task \"control state\" ended by itself"),
    ] {
        let (readiness, ended) = served(spawn).await?;
        assert_eq!(ended.map_err(|error| error.to_string()), Err(error.to_owned()));
        assert_eq!(readiness.phase(), crate::Phase::Draining);
    }
    Ok(())
}

#[tokio::test]
async fn calls_in_flight_end_before_a_failed_server_does() -> anyhow::Result<()> {
    let registry = Registry::new();
    let counts = ConnectionCounts::new(&registry, "edge_closed_total")?;
    let http = HttpServer::bind("HTTP", ([127, 0, 0, 1], 0).into(), counts)?;
    let base = format!("http://{}", http.address());
    let (stop, readiness) = (CancellationToken::new(), Readiness::default());
    let (sources, tasks) = (stop.clone().drop_guard(), Tasks::new(stop));
    readiness.set_ready();
    let routes = observability_routes(registry, readiness.clone()).route("/call", get_route(|| async { "answered" }));
    let (answer, answered) = oneshot::channel();
    let serving = Serving {
        http,
        routes,
        readiness,
        drain_delay: Duration::ZERO,
        drain_timeout: Duration::from_secs(20),
        tasks: tasks.clone(),
        sources,
        cache: None,
    };
    let running = tokio::spawn(async move {
        let grpc = |_| pending::<anyhow::Result<()>>();
        serving.run(grpc, async { drop(answered.await) }, &Shutdown::default()).await
    });
    assert_eq!(get(format!("{base}/ready")).await?.0, 200);
    tasks.spawn("eviction", async {});
    // The call in flight may have to wait, and a probe sees that this server wants no others.
    timeout(Duration::from_secs(20), async {
        while get(format!("{base}/ready")).await?.0 == 200 {}
        anyhow::Ok(())
    })
    .await??;
    assert_eq!(get(format!("{base}/call")).await?.1, "answered");
    assert!(!running.is_finished());
    answer.send(()).map_err(|()| anyhow!("the drain has ended"))?;
    let ended = timeout(Duration::from_secs(20), running).await??;
    assert_eq!(ended.map_err(|error| error.to_string()), Err("the task \"eviction\" ended by itself".to_owned()));
    Ok(())
}
