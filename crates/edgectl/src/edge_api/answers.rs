//! The answers of several replicas, and which of them counts for a tenant.

use serde::Serialize;

/// What one replica answered; serialized with the replica's name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Answer<T> {
    /// The replica.
    pub(crate) replica: String,
    #[serde(flatten)]
    pub(crate) value: T,
}

/// At least one answer.
#[derive(Debug)]
pub(crate) struct Answers<T> {
    /// In the order of the flags.
    pub(crate) answers: Vec<Answer<T>>,
    /// The replicas that did not answer, and are named on standard error.
    pub(crate) silent: Vec<String>,
}

/// An answer about one tenant.
pub(crate) trait OfTenant {
    /// Whether the replica has the tenant's buckets; on others they are full.
    fn has_buckets(&self) -> bool;

    /// How full the emptiest bucket is, from 0 to 1.
    fn fill(&self) -> f64;
}

impl<T: OfTenant> Answers<T> {
    /// The answer of the replica that decides the tenant's pushes, and what the user is to know about the choice.
    ///
    /// Several replicas can have buckets of a tenant for some minutes after their number changed: the emptiest ones were charged last.
    pub(crate) fn deciding(self) -> Option<(Answer<T>, Option<String>)> {
        let with_buckets = self.answers.iter().filter(|answer| answer.value.has_buckets());
        let names: Vec<_> = with_buckets.map(|answer| answer.replica.clone()).collect();
        let note = match (&names[..], &self.silent[..]) {
            ([], []) => None,
            ([], silent) => {
                Some(format!("no replica that answered has buckets of the tenant; {} may have them", silent.join(", ")))
            }
            ([_], _) => None,
            (several, _) => Some(format!(
                "{} have buckets of the tenant, as after a change of the number of replicas; the answer is that of the emptiest bucket",
                several.join(" and ")
            )),
        };
        let rank = |answer: &Answer<T>| if answer.value.has_buckets() { answer.value.fill() } else { f64::INFINITY };
        let deciding = self.answers.into_iter().min_by(|one, other| rank(one).total_cmp(&rank(other)))?;
        Some((deciding, note))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Fill(Option<f64>);

    impl OfTenant for Fill {
        fn has_buckets(&self) -> bool {
            self.0.is_some()
        }

        fn fill(&self) -> f64 {
            self.0.unwrap_or(1.0)
        }
    }

    #[track_caller]
    fn check(fills: &[Option<f64>], silent: &[&str], expected: usize, part_of_note: Option<&str>) {
        let answer = |(number, fill): (usize, &Option<f64>)| Answer { replica: number.to_string(), value: Fill(*fill) };
        let answers = fills.iter().enumerate().map(answer).collect();
        let silent = silent.iter().map(|name| (*name).to_owned()).collect();
        let (deciding, note) = Answers { answers, silent }.deciding().unwrap();
        assert_eq!(deciding.replica, expected.to_string(), "{fills:?}");
        assert_eq!(note.is_some(), part_of_note.is_some(), "{note:?}");
        assert!(note.unwrap_or_default().contains(part_of_note.unwrap_or_default()));
    }

    #[test]
    fn the_replica_with_the_buckets_decides() {
        check(&[None, Some(0.2), None], &[], 1, None);
        check(&[None, Some(1.0)], &["x"], 1, None);
        check(&[Some(f64::NAN)], &[], 0, None);
    }

    #[test]
    fn without_buckets_any_replica_will_do() {
        check(&[None, None], &[], 0, None);
        check(&[None, None], &["x", "y"], 0, Some("x, y may have them"));
    }

    #[test]
    fn of_two_with_buckets_the_emptiest_decides() {
        check(&[Some(0.9), None, Some(0.1)], &[], 2, Some("0 and 2 have buckets"));
    }
}
