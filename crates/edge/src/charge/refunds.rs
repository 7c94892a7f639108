//! Refunds of what a push was charged here, and Mimir's limiter never took.
//!
//! Envoy keeps a receipt of each charged push and sends it back if the push failed. The receipt says what to refund. Of what the client sends it
//! holds only the tenant.

use enforce::BucketOwner;
use limits::Tenant;

use super::Charger;
use crate::control::ControlState;
use crate::outcome::Charged;

/// Writes and reads receipts of this process. Charges of another process are not refunded here: its buckets are not these.
#[derive(Debug)]
pub(crate) struct Receipts {
    /// Random, so that a process does not accept the receipts of one that it replaces.
    process: u64,
}

limits::named_enum! {
    /// Why a charge is refunded, or why not.
    RefundCause {
        /// Envoy got no response from Mimir, and sent its own: 502, 503 or 504.
        NoAnswer = "no_answer",
        /// Mimir answered with a 5xx.
        MimirError = "mimir_error",
        /// Mimir's limiter denied the push with 429.
        MimirDenied = "mimir_denied",
        /// Mimir denied more than may be refunded: nothing, or only a part, is.
        RefundLimit = "refund_limit",
        /// Not refunded: another process charged it.
        OtherProcess = "other_process",
        /// Not refunded: no receipt, or an unknown cause.
        Unknown = "unknown",
    }
}

impl RefundCause {
    /// A cause that a caller may name.
    fn from_caller(cause: &[u8]) -> Option<Self> {
        [Self::NoAnswer, Self::MimirError, Self::MimirDenied].into_iter().find(|one| one.as_str().as_bytes() == cause)
    }
}

/// The outcome of a refund.
#[derive(Clone, Copy, Debug)]
pub struct Refund<'r> {
    /// Why it was refunded, or why not.
    pub cause: RefundCause,
    /// Who got what; `None` if nothing.
    pub refunded: Option<(BucketOwner<'r>, Charged)>,
}

impl Receipts {
    pub(crate) fn of_process(process: u64) -> Self {
        Self { process }
    }

    /// `None` if nothing was charged.
    pub(crate) fn write(&self, tenant: &Tenant<'_>, charged: Charged) -> Option<String> {
        let Charged { requests, items } = charged;
        if charged == Charged::default() {
            return None;
        }
        Some(format!("{:016x}/{requests}/{items}/{}", self.process, header_of(tenant)))
    }

    fn read<'r>(&self, receipt: &'r [u8]) -> Result<(Tenant<'r>, Charged), RefundCause> {
        let mut parts = receipt.splitn(4, |byte| *byte == b'/');
        let mut text = || parts.next().and_then(|part| std::str::from_utf8(part).ok());
        let (Some(process), Some(requests), Some(items), Some(tenant)) = (text(), text(), text(), text()) else {
            return Err(RefundCause::Unknown);
        };
        match u64::from_str_radix(process, 16) {
            Ok(process) if process == self.process => {}
            Ok(_) => return Err(RefundCause::OtherProcess),
            Err(_) => return Err(RefundCause::Unknown),
        }
        let tenant = Tenant::parse(Some(tenant.as_bytes())).map_err(|_| RefundCause::Unknown)?;
        match (requests.parse(), items.parse()) {
            (Ok(requests), Ok(items)) => Ok((tenant, Charged { requests, items })),
            _ => Err(RefundCause::Unknown),
        }
    }
}

/// A tenant header that names these buckets.
fn header_of<'t>(tenant: &Tenant<'t>) -> &'t str {
    match tenant.limits_key() {
        "" => "|",
        key => key,
    }
}

impl Charger {
    /// The receipt of a push of this tenant; `None` if nothing was charged.
    pub(crate) fn receipt(&self, tenant: &Tenant<'_>, charged: Charged) -> Option<String> {
        self.receipts.write(tenant, charged)
    }

    /// Refunds what a receipt names.
    pub(crate) fn refund<'r>(&self, control: &ControlState, receipt: &'r [u8], cause: &[u8]) -> Refund<'r> {
        let Some(cause) = RefundCause::from_caller(cause) else {
            return Refund { cause: RefundCause::Unknown, refunded: None };
        };
        let (tenant, charged) = match self.receipts.read(receipt) {
            Ok(charged) => charged,
            Err(cause) => return Refund { cause, refunded: None },
        };
        let mimir_denied = cause == RefundCause::MimirDenied;
        let Some((owner, refunded)) = self.refund_charge(control, tenant, charged, mimir_denied) else {
            return Refund { cause, refunded: None };
        };
        let cause = if refunded == charged { cause } else { RefundCause::RefundLimit };
        Refund { cause, refunded: (refunded != Charged::default()).then_some((owner, refunded)) }
    }

    /// To whom how much was refunded: what Mimir denied is refunded within a limit. `None` where the tenant has no buckets any more.
    fn refund_charge<'r>(
        &self,
        control: &ControlState,
        tenant: Tenant<'r>,
        charged: Charged,
        mimir_denied: bool,
    ) -> Option<(BucketOwner<'r>, Charged)> {
        let Ok(applicable) = control.for_tenant(&tenant).applicable() else { return None };
        let owner = BucketOwner { tenant, has_override: applicable.limits.has_override };
        let Charged { requests, items } = charged;
        let (of_requests, of_items) = (applicable.request_limit(), applicable.ingestion_limit());
        let (enforcer, now) = (&self.enforcer, self.now());
        if !mimir_denied {
            enforcer.refund_requests(&owner, of_requests, requests, now);
            enforcer.refund_items(&owner, of_items, items, now);
            return Some((owner, charged));
        }
        let counted = |count: u64, is_refunded: bool| if is_refunded { count } else { 0 };
        let refunded = Charged {
            requests: counted(requests, enforcer.refund_denied_requests(&owner, of_requests, requests, now)),
            items: counted(items, enforcer.refund_denied_items(&owner, of_items, items, now)),
        };
        Some((owner, refunded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHARGED: Charged = Charged { requests: 1, items: 2_000 };

    fn tenant(header: &str) -> Tenant<'_> {
        Tenant::parse(Some(header.as_bytes())).unwrap()
    }

    #[test]
    fn a_receipt_names_the_buckets_that_were_charged() {
        let receipts = Receipts::of_process(7);
        for (header, key) in
            [("a", "a"), ("a|a", "a"), ("a:k=v", "a:k=v"), ("|", ""), ("a|a:k=v", "a"), ("!-_.*'()", "!-_.*'()")]
        {
            let receipt = receipts.write(&tenant(header), CHARGED).unwrap();
            let (tenant, charged) = receipts.read(receipt.as_bytes()).unwrap();
            assert_eq!((tenant.limits_key(), charged), (key, CHARGED), "{receipt}");
        }
        assert_eq!(receipts.write(&tenant("a"), Charged::default()), None);
    }

    #[test]
    fn receipts_of_another_process_differ_from_unknown_ones() {
        let receipt = Receipts::of_process(1 << 63).write(&tenant("a"), CHARGED).unwrap();
        assert_eq!(Receipts::of_process(8).read(receipt.as_bytes()).unwrap_err(), RefundCause::OtherProcess);
        let receipts = Receipts::of_process(7);
        for text in
            ["", "7", "7/1/1", "x/1/1/a", "7/1/-1/a", "7/1/1/", "7/1/1/a/b", "7/1/99999999999999999999/a", "7/1/1/é"]
        {
            assert_eq!(receipts.read(text.as_bytes()).unwrap_err(), RefundCause::Unknown, "{text}");
        }
        assert_eq!(receipts.read(b"7/1/1/\xff").unwrap_err(), RefundCause::Unknown);
    }
}
