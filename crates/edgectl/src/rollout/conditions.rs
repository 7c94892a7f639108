//! The tables of ops/runbooks/rollout.md, with the same names, expressions and conditions.

use crate::args::Phase;

/// A row of a table.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) queries: &'static [&'static str],
    pub(super) condition: &'static str,
    pub(super) rule: Rule,
}

/// How a condition is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    /// It was 0 for the whole time.
    ZeroForTheTime,
    /// The first was 0 for the whole time; where the second was not, the first may have its errors, and people decide.
    ZeroButTheSecond,
    /// It is 0 now, which is a rate of an hour.
    ZeroNow,
    Under(f64),
    Between(f64, f64),
    /// The first is under this, and the others are for people.
    FirstUnder(f64),
    /// The first two differ by less than this part of the third.
    DifferBy(f64),
    /// People compare it with something else.
    ForPeople,
}

const ENVOY_ERRORS: &str = r#"sum(rate(envoy_http_downstream_rq_xx{envoy_http_conn_manager_prefix="push",envoy_response_code_class="5"}[1h]))"#;
/// Those that Mimir answered, or that stand for an answer that it did not give.
const MIMIR_ERRORS: &str =
    r#"sum(rate(envoy_cluster_upstream_rq_xx{envoy_cluster_name="mimir",envoy_response_code_class="5"}[1h]))"#;
const UNCHECKED: &str = "sum(rate(envoy_http_ext_authz_failure_mode_allowed[1h]))";
const DENIALS_OF_THE_EDGE: &str = r#"sum(rate(rls_decisions_total{decision="deny",reason=~".*_rate"}[1h])) + sum(rate(rls_decisions_total{decision="deny",reason="ingestion_burst"}[1h]))"#;
const DENIALS_OF_MIMIR: &str =
    r#"sum(rate(cortex_request_duration_seconds_count{route="api_v1_push",status_code="429"}[1h]))"#;
const PUSHES_OF_MIMIR: &str = r#"sum(rate(cortex_request_duration_seconds_count{route="api_v1_push"}[1h]))"#;
const DISCARDED_BY_MIMIR: &str = r#"sum(rate(cortex_discarded_samples_total{reason="rate_limited"}[1h]))"#;

/// The counters that begin with the first event, so that a process without one has no series.
const LATE: [&str; 3] = [MIMIR_ERRORS, DENIALS_OF_MIMIR, DISCARDED_BY_MIMIR];

/// Whether no series means that there was no such event.
pub(super) fn begins_late(query: &str) -> bool {
    LATE.contains(&query)
}

const MIRROR: &[Check] = &[
    Check {
        name: "Envoy's own errors",
        queries: &[ENVOY_ERRORS],
        condition: "0 for a day",
        rule: Rule::ZeroForTheTime,
    },
    Check { name: "unchecked copies", queries: &[UNCHECKED], condition: "0 for a day", rule: Rule::ZeroForTheTime },
    Check {
        name: "duration of a Check, in seconds",
        queries: &["histogram_quantile(0.99, sum by (le) (rate(rls_authz_check_duration_seconds_bucket[1h])))"],
        condition: "under 0.005",
        rule: Rule::Under(0.005),
    },
    Check {
        name: "samples that the edge would allow, divided by those that Mimir accepted",
        queries: &[
            r#"sum(rate(rls_samples_total{decision="allow"}[1h])) / sum(rate(cortex_distributor_received_samples_total[1h]))"#,
        ],
        condition: "between 0.98 and 1.02",
        rule: Rule::Between(0.98, 1.02),
    },
    Check {
        name: "pushes that the edge would deny for their rate, those that Mimir denied, and all of Mimir's",
        queries: &[DENIALS_OF_THE_EDGE, DENIALS_OF_MIMIR, PUSHES_OF_MIMIR],
        condition: "the first two differ by less than 0.02 of the third",
        rule: Rule::DifferBy(0.02),
    },
    Check {
        name: "denials by reason",
        queries: &[r#"sum by (reason) (rate(rls_decisions_total{decision="deny"}[1h]))"#],
        condition: "Mimir denies for the same reasons; `/api/v1/denials` has tenants and messages",
        rule: Rule::ForPeople,
    },
    Check {
        name: "limits",
        queries: &["max(rls_limits_stale_seconds)", "max(rls_limits_problems)"],
        condition: "under 60, and you know the cause of each problem",
        rule: Rule::FirstUnder(60.0),
    },
];

const CANARY: &[Check] = &[
    Check { name: "unchecked pushes", queries: &[UNCHECKED], condition: "0 outside of rollouts", rule: Rule::ZeroNow },
    Check {
        name: "denials",
        queries: &[
            r#"sum by (reason) (rate(rls_decisions_total{decision="deny",mode="enforce"}[1h])) / ignoring (reason) group_left sum(rate(rls_decisions_total{mode="enforce"}[1h]))"#,
        ],
        condition: "as in phase 1 for these tenants",
        rule: Rule::ForPeople,
    },
    Check {
        name: "pushes a second that the edge denied for their rate, and those that Mimir denied",
        queries: &[DENIALS_OF_THE_EDGE, DENIALS_OF_MIMIR],
        condition: "the second falls with each step, because the edge denies first",
        rule: Rule::ForPeople,
    },
    Check {
        name: "time that a push waits for its Check, in milliseconds",
        queries: &[
            r#"sum(rate(envoy_cluster_upstream_rq_time_sum{envoy_cluster_name="mimir_rls"}[1h])) / sum(rate(envoy_cluster_upstream_rq_time_count{envoy_cluster_name="mimir_rls"}[1h]))"#,
        ],
        condition: "under 5",
        rule: Rule::Under(5.0),
    },
    Check {
        name: "samples that Mimir still discards for its rate limits",
        queries: &[DISCARDED_BY_MIMIR],
        condition: "it falls with each step, because the edge denies first",
        rule: Rule::ForPeople,
    },
];

const FULL: &[Check] = &[
    Check {
        name: "Envoy's own errors",
        queries: &[ENVOY_ERRORS, MIMIR_ERRORS],
        condition: "the first is 0 for a day, except for 5xx of Mimir itself, which the second counts",
        rule: Rule::ZeroButTheSecond,
    },
    Check {
        name: "Checks without an answer, which now get 503",
        queries: &["sum(rate(envoy_http_ext_authz_error[1h]))"],
        condition: "0 outside of rollouts",
        rule: Rule::ZeroNow,
    },
    Check {
        name: "pushes that are too large",
        queries: &[r#"sum(rate(envoy_http_downstream_rq_too_large{envoy_http_conn_manager_prefix="push"}[1h]))"#],
        condition: "as in phase 2: those over Mimir's 100 MiB",
        rule: Rule::ForPeople,
    },
    Check {
        name: "denials because of overload",
        queries: &[r#"sum(rate(rls_decisions_total{reason="edge_overloaded"}[1h]))"#],
        condition: "0",
        rule: Rule::ZeroNow,
    },
];

/// The rows of a phase that Prometheus answers.
pub(super) fn checks(phase: Phase) -> &'static [Check] {
    match phase {
        Phase::Mirror => MIRROR,
        Phase::Canary => CANARY,
        Phase::Full => FULL,
    }
}

/// The rows of a phase that the log of the proxy answers.
pub(super) fn in_the_log(phase: Phase) -> &'static [&'static str] {
    match phase {
        Phase::Mirror | Phase::Full => &[],
        Phase::Canary => &[
            "5xx in that list, with Envoy's address and with Mimir's",
            "pushes with two addresses in that list, which are the lines of `unchecked.log`: Mimir received them unchecked, because no Envoy accepted them",
        ],
    }
}

#[cfg(test)]
mod tests;
