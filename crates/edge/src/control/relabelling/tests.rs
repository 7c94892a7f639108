use std::time::{Duration, Instant};

use limits::{LimitsState, SourceDocument};
use tokio::time::timeout;

use super::*;

const DEADLINE: Duration = Duration::from_secs(60);

fn snapshot(document: &str) -> Arc<Snapshot> {
    let documents = [SourceDocument::new("runtime.yaml", document)];
    LimitsState::new(TenantLimits::default(), true).apply(&documents).snapshot.unwrap()
}

/// Limits of the tenants `t0`, `t1` ... with one rule each.
fn with_expressions(expressions: impl Iterator<Item = String>) -> Arc<Snapshot> {
    let tenant =
        |(number, regex)| format!("  t{number}: {{metric_relabel_configs: [{{regex: '{regex}', action: drop}}]}}\n");
    snapshot(&format!("overrides:\n{}", expressions.enumerate().map(tenant).collect::<String>()))
}

/// About as large as expressions can be, each of them another one.
fn dear(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!(r"(\pL|\pN|x{number}){{36}}"))
}

fn of(
    relabelling: &Relabelling,
    snapshot: &Snapshot,
    tenant: &str,
) -> Result<Option<Arc<Relabeler>>, RelabelUnavailable> {
    relabelling.of(&snapshot.entry(tenant).unwrap().limits)
}

/// Takes over limits as a server does, and waits for all of their rules.
async fn take_over(compiler: &mut Compiler, snapshot: &Arc<Snapshot>, before: &Arc<Relabelling>) -> Arc<Relabelling> {
    compiler.begin(Arc::clone(snapshot), Arc::clone(before)).await;
    timeout(DEADLINE, compiler.finished()).await.unwrap().unwrap()
}

#[tokio::test]
async fn equal_rules_compile_once_and_live_while_limits_name_them() {
    let names = |tenants: &[(&str, &str)]| {
        let entry = |(tenant, label): &(&str, &str)| format!("  {tenant}: {{drop_labels: [{label}]}}\n");
        snapshot(&format!("overrides:\n  plain: {{}}\n{}", tenants.iter().map(entry).collect::<String>()))
    };
    let mut compiler = Compiler::default();
    let first = names(&[("t", "a"), ("u", "a"), ("v", "b")]);
    let relabelling = take_over(&mut compiler, &first, &Arc::default()).await;
    assert!(of(&relabelling, &first, "plain").unwrap().is_none());
    let rule =
        |relabelling: &Relabelling, snapshot: &Snapshot, tenant| of(relabelling, snapshot, tenant).unwrap().unwrap();
    let of_t = rule(&relabelling, &first, "t");
    assert!(Arc::ptr_eq(&of_t, &rule(&relabelling, &first, "u")));
    assert!(!Arc::ptr_eq(&of_t, &rule(&relabelling, &first, "v")));

    let second = names(&[("w", "a"), ("x", "c")]);
    let begun = compiler.begin(Arc::clone(&second), Arc::clone(&relabelling)).await;
    assert!(Arc::ptr_eq(&of_t, &rule(&begun, &second, "w")), "what there was before is there at once");
    assert_eq!(of(&begun, &second, "x").unwrap_err(), RelabelUnavailable::Compiling);
    let relabelling = compiler.finished().await.unwrap();
    assert!(of(&relabelling, &second, "x").is_ok());
    assert_eq!((relabelling.by_address.len(), relabelling.compiled.len()), (2, 2), "and what no limits name is gone");
}

/// An expression stays compiled while another tenant's rules still wait for it.
#[tokio::test]
async fn expressions_of_two_tenants_compile_once() {
    let mut compiler = Compiler::default();
    let both = snapshot(
        "overrides:\n  t: {metric_relabel_configs: [{regex: a+, action: drop}]}\n  u: {metric_relabel_configs: [{regex: a+, action: keep}]}\n",
    );
    let relabelling = take_over(&mut compiler, &both, &Arc::default()).await;
    assert!(of(&relabelling, &both, "t").is_ok() && of(&relabelling, &both, "u").is_ok());
    assert_eq!(compiler.expressions(), 1);
    drop(relabelling);
    let relabelling = take_over(&mut compiler, &snapshot("overrides: {t: {}}"), &Arc::default()).await;
    assert!(relabelling.by_address.is_empty());
    assert_eq!(compiler.expressions(), 0);
}

#[tokio::test]
async fn unsupported_rules_differ_from_rules_still_compiling() {
    let limits = with_expressions(["a".to_owned(), r"\pL{1000}".to_owned()].into_iter());
    let relabelling = take_over(&mut Compiler::default(), &limits, &Arc::default()).await;
    assert!(of(&relabelling, &limits, "t0").unwrap().is_some());
    assert_eq!(of(&relabelling, &limits, "t1").unwrap_err(), RelabelUnavailable::Unsupported);
}

/// 500 dear expressions, which take a minute to compile: limits hold at once, what is cheap is ready at once, and newer limits wait for nothing.
#[tokio::test]
async fn expensive_expressions_delay_no_limits_pushes_or_other_tenants() {
    let mut compiler = Compiler::default();
    let limits = with_expressions(dear(500).chain(["cheap.*".to_owned()]));
    let began = Instant::now();
    let begun = compiler.begin(Arc::clone(&limits), Arc::default()).await;
    let taken = began.elapsed();
    assert!(taken < Duration::from_secs(5), "{taken:?}");
    let asked = Instant::now();
    assert_eq!(of(&begun, &limits, "t0").unwrap_err(), RelabelUnavailable::Compiling);
    assert!(asked.elapsed() < Duration::from_millis(100));

    let next = timeout(DEADLINE, compiler.next()).await.unwrap();
    assert!(of(&next, &limits, "t500").unwrap().is_some(), "the cheapest are compiled first");
    assert!((0..500).any(|tenant| of(&next, &limits, &format!("t{tenant}")).is_err()));

    let newer = with_expressions(["a".to_owned()].into_iter());
    let began = Instant::now();
    let relabelling = take_over(&mut compiler, &newer, &next).await;
    assert!(of(&relabelling, &newer, "t0").unwrap().is_some());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
