//! Compiles the rules of new limits on a thread of its own: the newest limits alone, and one expression after the other, so that what has been
//! superseded ends with the expression that it is at.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use limits::Snapshot;
use remote_write::relabel::{Pattern, PatternError, Relabeler};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Missing, Relabelling};

/// How often what is compiled is shown while there is more to compile.
const SHOW_EVERY: Duration = Duration::from_millis(100);

/// Expressions that are compiled, whoever has them in rules.
#[derive(Debug, Default)]
struct Patterns {
    known: HashMap<Arc<str>, Result<Weak<Pattern>, PatternError>>,
    /// What superseded limits have compiled, and perhaps no rule has yet: the next limits are likely to ask for it.
    kept: Vec<Arc<Pattern>>,
}

/// Compiles for one set of limits after the other.
#[derive(Debug, Default)]
pub(crate) struct Compiler {
    /// Whoever holds it compiles.
    patterns: Arc<Mutex<Patterns>>,
    work: Option<Work>,
}

/// Rules that are being compiled. Dropping it ends that.
#[derive(Debug)]
struct Work {
    shown: watch::Receiver<Arc<Relabelling>>,
    superseded: Arc<AtomicBool>,
    /// Ends once it holds nothing any more, which is a moment after `shown` is closed.
    task: JoinHandle<()>,
}

impl Drop for Work {
    fn drop(&mut self) {
        self.superseded.store(true, Ordering::Relaxed);
    }
}

impl Compiler {
    /// What of these limits is compiled already; the rest is on its way from now on, and that of older limits is not any more.
    pub(crate) async fn begin(&mut self, snapshot: Arc<Snapshot>, before: Arc<Relabelling>) -> Arc<Relabelling> {
        self.work = None;
        // A document of 16 MB takes longer to go through than a worker may be kept from decisions.
        let begun = spawn_blocking(move || Relabelling::begin(&snapshot, &before)).await;
        let Ok((begun, missing)) = begun else { return Arc::default() };
        let begun = Arc::new(begun);
        let (sender, shown) = watch::channel(Arc::clone(&begun));
        let superseded = Arc::new(AtomicBool::new(false));
        let (patterns, relabelling) = (Arc::clone(&self.patterns), Relabelling::clone(&begun));
        let is_superseded = Arc::clone(&superseded);
        let task = spawn_blocking(move || {
            // Whoever compiles for older limits ends soon. Nothing is left half done by one that failed.
            let mut patterns = patterns.lock().unwrap_or_else(PoisonError::into_inner);
            patterns.compile(relabelling, missing, &is_superseded, |relabelling| {
                sender.send_replace(Arc::new(relabelling.clone()));
            });
        });
        self.work = Some(Work { shown, superseded, task });
        begun
    }

    /// More rules than before, once there are; never returns where nothing is being compiled.
    pub(crate) async fn next(&mut self) -> Arc<Relabelling> {
        if let Some(Work { shown, .. }) = &mut self.work
            && shown.changed().await.is_ok()
        {
            return Arc::clone(&shown.borrow_and_update());
        }
        self.work = None;
        std::future::pending().await
    }

    /// How many expressions are held.
    #[cfg(test)]
    pub(super) fn expressions(&self) -> usize {
        self.patterns.lock().unwrap().known.len()
    }

    /// Waits until everything is compiled.
    pub(crate) async fn finished(&mut self) -> Option<Arc<Relabelling>> {
        let Work { shown, task, .. } = self.work.as_mut()?;
        // Its only error is a panic, which was shown. Where this is cancelled nothing counts as seen, so `next` gives it.
        drop(task.await);
        let relabelling = Arc::clone(&shown.borrow_and_update());
        self.work = None;
        Some(relabelling)
    }
}

impl Patterns {
    /// Compiles what is missing, what is cheapest first: one tenant's dear expressions are not to keep others waiting.
    fn compile(
        &mut self,
        mut relabelling: Relabelling,
        mut missing: Vec<Missing>,
        superseded: &AtomicBool,
        show: impl Fn(&Relabelling),
    ) {
        missing.sort_by_cached_key(effort);
        let mut shown = Instant::now();
        for Missing { limits, tenant, places } in missing {
            let compiled = Relabeler::compile_with(&limits, |expression| {
                if superseded.load(Ordering::Relaxed) { None } else { Some(self.pattern(expression)) }
            });
            let Some(outcome) = compiled else { return };
            let Some(outcome) = outcome.map(|rewrite| rewrite.map(Arc::new)).transpose() else { continue };
            if let Err(error) = &outcome {
                let tenant = tenant.as_deref().unwrap_or("the defaults");
                tracing::warn!(tenant, "metric_relabel_configs {error}; the tenant's pushes are charged as sent");
            }
            places.into_iter().for_each(|settings| relabelling.add(settings, outcome.clone()));
            if shown.elapsed() >= SHOW_EVERY {
                show(&relabelling);
                shown = Instant::now();
            }
        }
        show(&relabelling);
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

    /// Forgets what no rule has.
    fn forget_unused(&mut self) {
        self.kept = Vec::new();
        self.known.retain(|_, pattern| pattern.as_ref().is_ok_and(|pattern| pattern.strong_count() > 0));
    }
}

/// All that is missing, compiled at once.
#[cfg(any(test, feature = "testing"))]
pub(super) fn compiled_here(begun: Relabelling, missing: Vec<Missing>) -> Relabelling {
    let compiled = std::cell::RefCell::new(begun.clone());
    let show = |relabelling: &Relabelling| *compiled.borrow_mut() = relabelling.clone();
    Patterns::default().compile(begun, missing, &AtomicBool::new(false), show);
    compiled.into_inner()
}

/// What the expressions may come to, in bytes.
fn effort(missing: &Missing) -> usize {
    let expressions = missing.limits.metric_relabel_configs.iter().map(|rule| Pattern::max_compiled_bytes(&rule.regex));
    expressions.fold(0, |sum, bytes| sum.saturating_add(bytes.unwrap_or_default()))
}
