//! The text of `/metrics`, shared by requests that come at once.
//!
//! A request gets a text whose rendering began after the request came: no value is old. One rendering at a time runs, on a thread that serves no
//! requests, and after each one comes a pause of [`PAUSE_FACTOR`] times its length: a flood of requests takes a fifth of one core, and a scraper that
//! comes alone never waits.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use prometheus::{Registry, TextEncoder};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

const PAUSE_FACTOR: u32 = 4;

/// Renders the metrics of a registry; cheap to clone.
#[derive(Clone)]
pub(crate) struct Rendering {
    registry: Registry,
    last: Arc<Mutex<Option<Rendered>>>,
}

struct Rendered {
    began: Instant,
    took: Duration,
    text: Result<Bytes, String>,
}

impl Rendering {
    pub(crate) fn new(registry: Registry) -> Self {
        Self { registry, last: Arc::default() }
    }

    /// The metrics as they are now.
    ///
    /// # Errors
    /// They cannot be rendered.
    pub(crate) async fn text(&self) -> Result<Bytes, String> {
        let came = Instant::now();
        let mut last = Arc::clone(&self.last).lock_owned().await;
        if let Some(rendered) = last.as_ref() {
            if rendered.began > came {
                return rendered.text.clone();
            }
            sleep_until(rendered.began + rendered.took.saturating_mul(1 + PAUSE_FACTOR)).await;
        }
        let registry = self.registry.clone();
        // Holds the lock until it is done, also if the client disconnects: no second rendering may run at the same time.
        let rendering = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let text = render(&registry);
            *last = Some(Rendered { began, took: began.elapsed(), text: text.clone() });
            text
        });
        rendering.await.unwrap_or_else(|error| Err(error.to_string()))
    }
}

fn render(registry: &Registry) -> Result<Bytes, String> {
    let mut text = String::new();
    TextEncoder::new().encode_utf8(&registry.gather(), &mut text).map_err(|error| error.to_string())?;
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use scrape::counter_at_scrape;

    /// A registry that counts how often it is rendered, which takes 5 ms.
    fn counting() -> (Rendering, Arc<AtomicU64>) {
        let (registry, count) = (Registry::new(), Arc::new(AtomicU64::new(0)));
        let rendered = Arc::clone(&count);
        counter_at_scrape(&registry, "renderings_total", "Renderings", move || {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(5) {
                std::hint::spin_loop();
            }
            rendered.fetch_add(1, Ordering::SeqCst)
        })
        .unwrap();
        (Rendering::new(registry), count)
    }

    /// What the counter of a text shows.
    async fn shown(rendering: &Rendering) -> u64 {
        let text = rendering.text().await.unwrap();
        let line = std::str::from_utf8(&text).unwrap().lines().find_map(|line| line.strip_prefix("renderings_total "));
        line.unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn no_text_is_older_than_its_request() {
        let (rendering, count) = counting();
        for _ in 0..5 {
            let before = count.load(Ordering::SeqCst);
            assert_eq!(shown(&rendering).await, before);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_flood_of_requests_is_answered_with_few_renderings() {
        let (rendering, count) = counting();
        let before = count.load(Ordering::SeqCst);
        let requests: Vec<_> = (0..500)
            .map(|_| {
                let (rendering, count) = (rendering.clone(), Arc::clone(&count));
                tokio::spawn(async move { (count.load(Ordering::SeqCst), shown(&rendering).await) })
            })
            .collect();
        for request in requests {
            let (before, shown) = request.await.unwrap();
            assert!(shown >= before, "{shown} is older than {before}");
        }
        let renderings = count.load(Ordering::SeqCst) - before;
        assert!(renderings <= 10, "{renderings} renderings for 500 requests");
    }

    #[tokio::test]
    async fn a_pause_follows_each_rendering() {
        let (rendering, count) = counting();
        let (began, before) = (Instant::now(), count.load(Ordering::SeqCst));
        while count.load(Ordering::SeqCst) < before + 4 {
            shown(&rendering).await;
        }
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(4 * 5 + 3 * 4 * 5), "{took:?}");
    }
}
