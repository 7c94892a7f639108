//! Compiles the rules of new limits on a thread of its own: only for the newest limits, and one expression after the other, so that superseded work
//! ends with its current expression.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use limits::Snapshot;
use remote_write::relabel::{Pattern, PatternError, Relabeler};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Missing, Relabelling};

/// How often compiled rules are published while there are more to compile.
const PUBLISH_EVERY: Duration = Duration::from_millis(100);

/// Compiled expressions, shared by all rules.
#[derive(Debug, Default)]
struct Patterns {
    known: HashMap<Arc<str>, Result<Weak<Pattern>, PatternError>>,
    /// Expressions of superseded limits that may be in no rule yet: the next limits are likely to need them.
    kept: Vec<Arc<Pattern>>,
}

/// Compiles one set of limits after the other.
#[derive(Debug, Default)]
pub(crate) struct Compiler {
    /// Locked while rules are compiled.
    patterns: Arc<Mutex<Patterns>>,
    work: Option<Work>,
}

/// Rules that are being compiled; stops when it is dropped.
#[derive(Debug)]
struct Work {
    published: watch::Receiver<Arc<Relabelling>>,
    superseded: Arc<AtomicBool>,
    /// Ends once it has released everything, a moment after `published` is closed.
    task: JoinHandle<()>,
}

impl Drop for Work {
    fn drop(&mut self) {
        self.superseded.store(true, Ordering::Relaxed);
    }
}

impl Compiler {
    /// The rules of these limits that are compiled already. Starts to compile the rest, and stops for older limits.
    pub(crate) async fn begin(&mut self, snapshot: Arc<Snapshot>, before: Arc<Relabelling>) -> Arc<Relabelling> {
        self.work = None;
        // A document of 16 MB would block a worker for too long.
        let begun = spawn_blocking(move || Relabelling::begin(&snapshot, &before)).await;
        let Ok((begun, missing)) = begun else { return Arc::default() };
        let begun = Arc::new(begun);
        let (sender, published) = watch::channel(Arc::clone(&begun));
        let superseded = Arc::new(AtomicBool::new(false));
        let (patterns, relabelling) = (Arc::clone(&self.patterns), Relabelling::clone(&begun));
        let is_superseded = Arc::clone(&superseded);
        let task = spawn_blocking(move || {
            // The task for older limits ends soon. One that panicked leaves a consistent map.
            let mut patterns = patterns.lock().unwrap_or_else(PoisonError::into_inner);
            patterns.compile(relabelling, missing, &is_superseded, |relabelling| {
                sender.send_replace(Arc::new(relabelling.clone()));
            });
        });
        self.work = Some(Work { published, superseded, task });
        begun
    }

    /// Waits for more rules; never returns where nothing is being compiled.
    pub(crate) async fn next(&mut self) -> Arc<Relabelling> {
        if let Some(Work { published, .. }) = &mut self.work
            && published.changed().await.is_ok()
        {
            return Arc::clone(&published.borrow_and_update());
        }
        self.work = None;
        std::future::pending().await
    }

    /// How many expressions are kept.
    #[cfg(test)]
    pub(super) fn expressions(&self) -> usize {
        self.patterns.lock().unwrap().known.len()
    }

    /// Waits until everything is compiled.
    pub(crate) async fn finished(&mut self) -> Option<Arc<Relabelling>> {
        let Work { published, task, .. } = self.work.as_mut()?;
        // Its only error is a panic, which is logged. Where this is cancelled nothing counts as seen, so `next` returns it.
        drop(task.await);
        let relabelling = Arc::clone(&published.borrow_and_update());
        self.work = None;
        Some(relabelling)
    }
}

impl Patterns {
    /// Compiles what is missing, the cheapest first: others must not wait for one tenant's expensive expressions.
    fn compile(
        &mut self,
        mut relabelling: Relabelling,
        mut missing: Vec<Missing>,
        superseded: &AtomicBool,
        publish: impl Fn(&Relabelling),
    ) {
        missing.sort_by_cached_key(effort);
        let mut published = Instant::now();
        for Missing { limits, tenant, settings: equal } in missing {
            let compiled = Relabeler::compile_with(&limits, |expression| {
                if superseded.load(Ordering::Relaxed) { None } else { Some(self.pattern(expression)) }
            });
            let Some(outcome) = compiled else { return };
            let Some(outcome) = outcome.map(|relabeler| relabeler.map(Arc::new)).transpose() else { continue };
            if let Err(error) = &outcome {
                let tenant = tenant.as_deref().unwrap_or("the defaults");
                tracing::warn!(tenant, "metric_relabel_configs {error}; the tenant's pushes are charged as sent");
            }
            equal.into_iter().for_each(|settings| relabelling.add(settings, outcome.clone()));
            if published.elapsed() >= PUBLISH_EVERY {
                publish(&relabelling);
                published = Instant::now();
            }
        }
        publish(&relabelling);
        self.forget_unused();
    }

    fn pattern(&mut self, expression: &Arc<str>) -> Result<Arc<Pattern>, PatternError> {
        match self.known.get(expression) {
            Some(Ok(known)) if let Some(known) = known.upgrade() => return Ok(known),
            Some(Err(error)) => return Err(*error),
            _ => {}
        }
        let pattern = Pattern::compile(expression).map(Arc::new);
        self.known.insert(Arc::clone(expression), pattern.as_ref().map(Arc::downgrade).map_err(|error| *error));
        self.kept.extend(pattern.clone());
        pattern
    }

    /// Drops expressions that are in no rule.
    fn forget_unused(&mut self) {
        self.kept = Vec::new();
        self.known.retain(|_, pattern| pattern.as_ref().is_ok_and(|pattern| pattern.strong_count() > 0));
    }
}

/// Compiles all that is missing, on this thread.
#[cfg(any(test, feature = "testing"))]
pub(super) fn compiled_here(begun: Relabelling, missing: Vec<Missing>) -> Relabelling {
    let compiled = std::cell::RefCell::new(begun.clone());
    let publish = |relabelling: &Relabelling| *compiled.borrow_mut() = relabelling.clone();
    Patterns::default().compile(begun, missing, &AtomicBool::new(false), publish);
    compiled.into_inner()
}

/// The most bytes that the compiled expressions may take.
fn effort(missing: &Missing) -> usize {
    let expressions = missing.limits.metric_relabel_configs.iter().map(|rule| Pattern::max_compiled_bytes(&rule.regex));
    expressions.fold(0, |sum, bytes| sum.saturating_add(bytes.unwrap_or_default()))
}
