//! All stages of a push in one call, for a shell: decide, answer, record. A panic in a stage ends in a denial.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use enforce::Denial;
use futures_util::FutureExt;
use limits::Tenant;

use crate::answer::Answer;
use crate::own_denials::{Failure, failed};
use crate::pipeline::Pipeline;
use crate::push::Push;
use crate::record::{Recorder, Subject};
use crate::stages::{Stage, StageTimes};
use crate::verdict::{Undecided, Verdict};

/// Decides, answers and records pushes; cheap to clone.
#[derive(Clone)]
pub struct Edge {
    pipeline: Arc<Pipeline>,
    recorder: Recorder,
}

/// What a shell needs to answer its caller.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The verdict, which is recorded.
    pub verdict: Verdict,
    /// The answer to the client; `None` where the push goes on to Mimir.
    pub answer: Option<Answer>,
    /// The receipt of what was charged for a push that goes on to Mimir, see [`Pipeline::refund`]; `None` if nothing was.
    pub receipt: Option<String>,
}

/// Runs a call to its end. A panic is a denial: a shell that resets its call returns an error, which a proxy that fails open takes for "allow".
///
/// # Errors
/// The call panicked.
pub async fn denied_on_panic<T>(call: impl Future<Output = T>) -> Result<T, Denial> {
    AssertUnwindSafe(call).catch_unwind().await.map_err(|_| failed(Failure::Decide))
}

impl Edge {
    /// By the verdicts of `pipeline`, with their records in `recorder`.
    #[must_use]
    pub fn new(pipeline: Arc<Pipeline>, recorder: Recorder) -> Self {
        Self { pipeline, recorder }
    }

    /// The pipeline.
    #[must_use]
    pub fn pipeline(&self) -> &Arc<Pipeline> {
        &self.pipeline
    }

    /// The recorder.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Decides on a push, charges it, and records that. The shell has had the push since `started`.
    ///
    /// # Errors
    /// As [`Pipeline::decide`].
    pub async fn check(&self, push: &Push, started: Instant) -> Result<Outcome, Undecided> {
        self.check_timed(push, started, &mut ()).await
    }

    /// The same, with the end of each stage.
    ///
    /// # Errors
    /// As [`Pipeline::decide`].
    pub async fn check_timed(
        &self,
        push: &Push,
        started: Instant,
        times: &mut impl StageTimes,
    ) -> Result<Outcome, Undecided> {
        let subject = Subject::from(push);
        let decided = async {
            let verdict = self.pipeline.decide_timed(push, times).await?;
            let outcome = self.outcome(&subject, verdict, started);
            times.ended(Stage::Record);
            Ok(outcome)
        };
        denied_on_panic(decided).await.unwrap_or_else(|denial| Ok(self.deny_subject(&subject, denial, started)))
    }

    /// The same on this thread, however long the body takes to decode.
    ///
    /// # Errors
    /// As [`Pipeline::decide_here`].
    pub fn check_here(&self, push: &Push, started: Instant) -> Result<Outcome, Undecided> {
        let subject = Subject::from(push);
        let decided = || self.pipeline.decide_here(push).map(|verdict| self.outcome(&subject, verdict, started));
        catch_unwind(AssertUnwindSafe(decided))
            .unwrap_or_else(|_| Ok(self.deny_subject(&subject, failed(Failure::Decide), started)))
    }

    /// Denies a push of which at most the tenant is known, and records that. The shell has had the push since `started`.
    #[must_use]
    pub fn deny(&self, tenant: Option<&Tenant<'_>>, denial: Denial, started: Instant) -> Outcome {
        let subject = Subject { tenant: tenant.copied(), ..Subject::default() };
        self.deny_subject(&subject, denial, started)
    }

    fn deny_subject(&self, subject: &Subject<'_>, denial: Denial, started: Instant) -> Outcome {
        let verdict = Verdict::not_received(&self.pipeline.control(), subject.tenant.as_ref(), denial);
        self.outcome(subject, verdict, started)
    }

    fn outcome(&self, subject: &Subject<'_>, verdict: Verdict, started: Instant) -> Outcome {
        let answer = verdict.answer(subject.retry_attempt, rand::random());
        let charged = subject.tenant.filter(|_| answer.is_none());
        let receipt = charged.and_then(|tenant| self.pipeline.receipt(&tenant, verdict.charged));
        self.recorder.check(subject, &verdict, started.elapsed());
        Outcome { verdict, answer, receipt }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;

    use enforce::DenyReason;
    use limits::{LimitsState, SourceDocument, TenantLimits};
    use prometheus::{Registry, TextEncoder};
    use remote_write::PushCounts;

    use super::*;
    use crate::clock::Clock;
    use crate::push::{PushBody, TenantHeader};

    fn edge(clock: Clock, registry: &Registry) -> Edge {
        let limits =
            LimitsState::new(TenantLimits::default(), true).apply(&[SourceDocument::new("runtime.yaml", "{}")]);
        let (pipeline, _) = Pipeline::by_limits(limits.snapshot.unwrap(), clock);
        let recorder = Recorder::new(None, registry).unwrap();
        Edge::new(Arc::new(pipeline), recorder)
    }

    fn push() -> Push {
        Push {
            tenant: TenantHeader::Once("t".into()),
            content_type: None,
            retry_attempt: 0,
            skips_validation: false,
            body: PushBody::Counted(PushCounts { samples: 1, ..PushCounts::default() }),
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_denial_and_counted() {
        let registry = Registry::new();
        // In nanoseconds this time is no number any more, so the pipeline panics when it reads the clock.
        let clock = Clock::standing(Arc::new(AtomicI64::new(i64::MAX)));
        let edge = edge(clock, &registry);
        let checked = edge.check(&push(), Instant::now()).await.unwrap();
        for outcome in [checked, edge.check_here(&push(), Instant::now()).unwrap()] {
            assert_eq!(outcome.verdict.denial().unwrap().reason(), DenyReason::EdgeError);
            assert_eq!((outcome.answer.unwrap().status, outcome.receipt), (503, None));
        }
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let counted = r#"rls_decisions_total{decision="deny",mode="enforce",reason="edge_error"} 2"#;
        assert!(text.contains(counted), "{text}");
    }

    struct Ended(Vec<Stage>);

    impl StageTimes for Ended {
        fn ended(&mut self, stage: Stage) {
            self.0.push(stage);
        }
    }

    #[tokio::test]
    async fn each_stage_that_a_push_reaches_ends_once() {
        let edge = edge(Clock::start(), &Registry::new());
        let of = async |push: Push| {
            let mut ended = Ended(Vec::new());
            edge.check_timed(&push, Instant::now(), &mut ended).await.unwrap();
            ended.0
        };
        assert_eq!(of(push()).await, [Stage::Identify, Stage::Decode, Stage::Charge, Stage::Record]);
        let without_tenant = Push { tenant: TenantHeader::Absent, ..push() };
        assert_eq!(of(without_tenant).await, [Stage::Identify, Stage::Record]);
    }

    #[tokio::test]
    async fn a_push_that_goes_on_has_a_receipt() {
        let outcome = edge(Clock::start(), &Registry::new()).check(&push(), Instant::now()).await.unwrap();
        assert!(outcome.answer.is_none());
        assert!(outcome.receipt.unwrap().ends_with("/1/1/t"));
    }
}
