//! What the edge decides about a push, as values.

/// The decision of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// This step allows the push.
    Allow,
    /// The push is denied; later steps do not run.
    Deny(Denial),
}

impl Decision {
    /// `Ok` if the push is allowed.
    ///
    /// # Errors
    /// The denial.
    pub fn into_result(self) -> Result<(), Denial> {
        match self {
            Decision::Allow => Ok(()),
            Decision::Deny(denial) => Err(denial),
        }
    }
}

/// A denial as the client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    reason: DenyReason,
    message: String,
}

impl Denial {
    /// A denial with the text of the answer, without a trailing newline.
    #[must_use]
    pub fn new(reason: DenyReason, message: impl Into<String>) -> Self {
        Denial { reason, message: message.into() }
    }

    /// Why the push is denied.
    #[must_use]
    pub fn reason(&self) -> DenyReason {
        self.reason
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.reason.status()
    }

    /// The text of the answer, without a trailing newline; Mimir's body has one.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the answer carries `Retry-After`: Mimir sends it with 429 and every 5xx (`pkg/distributor/push.go`).
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self.status(), 429 | 500..=599)
    }
}

/// Declares the enum with [`DenyReason::ALL`] and one name and status each, so that no variant can lack any of them.
macro_rules! deny_reasons {
    ($($(#[$doc:meta])* $variant:ident => $name:literal, $status:literal;)+) => {
        /// Why a push is denied: the one list behind metric labels, audit fields, admin fields and response headers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum DenyReason {
            $($(#[$doc])* $variant,)+
        }

        impl DenyReason {
            /// Every reason, in the order of the decision.
            pub const ALL: [DenyReason; [$($name),+].len()] = [$(DenyReason::$variant),+];

            /// The name outside this process, in `snake_case`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(DenyReason::$variant => $name,)+
                }
            }

            /// The HTTP status of the answer.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self {
                    $(DenyReason::$variant => $status,)+
                }
            }
        }
    };
}

deny_reasons! {
    /// The tenant header is absent or empty.
    TenantMissing => "tenant_missing", 401;
    /// The tenant header names no valid tenant.
    TenantInvalid => "tenant_invalid", 401;
    /// The tenant header names several distinct tenants.
    TooManyTenants => "too_many_tenants", 422;
    /// The tenant header is there more than once. Mimir would take the first.
    TenantHeaderRepeated => "tenant_header_repeated", 400;
    /// The edge has as many bytes in flight as it may, of this tenant or of all.
    EdgeOverloaded => "edge_overloaded", 503;
    /// The edge failed while it decided.
    EdgeError => "edge_error", 503;
    /// The compressed body is larger than the edge accepts.
    BodyTooLarge => "body_too_large", 413;
    /// The compressed body is larger than the tenant's own `max_body_bytes` at the edge.
    EdgeMaxBodyBytes => "edge_max_body_bytes", 413;
    /// The tenant's request rate is used up.
    RequestRate => "request_rate", 429;
    /// The body is not readable remote write.
    UnreadableBody => "unreadable_body", 400;
    /// The push has more series than the tenant's own `max_series_per_request` at the edge.
    EdgeMaxSeriesPerRequest => "edge_max_series_per_request", 400;
    /// The push cannot be metered, and the tenant has sent too many such pushes.
    EdgeUnmetered => "edge_unmetered", 503;
    /// The tenant's ingestion rate is used up.
    IngestionRate => "ingestion_rate", 429;
    /// The push has more items than the ingestion burst, so that no wait would help.
    IngestionBurst => "ingestion_burst", 429;
}

impl std::fmt::Display for DenyReason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_name_and_status() {
        let table: Vec<_> = DenyReason::ALL.iter().map(|reason| (reason.as_str(), reason.status())).collect();
        assert_eq!(
            table,
            [
                ("tenant_missing", 401),
                ("tenant_invalid", 401),
                ("too_many_tenants", 422),
                ("tenant_header_repeated", 400),
                ("edge_overloaded", 503),
                ("edge_error", 503),
                ("body_too_large", 413),
                ("edge_max_body_bytes", 413),
                ("request_rate", 429),
                ("unreadable_body", 400),
                ("edge_max_series_per_request", 400),
                ("edge_unmetered", 503),
                ("ingestion_rate", 429),
                ("ingestion_burst", 429),
            ]
        );
    }

    #[test]
    fn only_rates_and_overload_are_worth_a_retry() {
        let retryable: Vec<_> =
            DenyReason::ALL.into_iter().filter(|&reason| Denial::new(reason, "").retryable()).collect();
        let expected = [
            DenyReason::EdgeOverloaded,
            DenyReason::EdgeError,
            DenyReason::RequestRate,
            DenyReason::EdgeUnmetered,
            DenyReason::IngestionRate,
            DenyReason::IngestionBurst,
        ];
        assert_eq!(retryable, expected);
    }
}
