//! The known name that an unknown one most likely stands for.

/// The candidate nearest to `name`, if near enough to be a typo: at most one edit for every four characters,
/// and at most three.
pub(crate) fn nearest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let most = (name.chars().count() / 4).clamp(1, 3);
    let name = name.to_lowercase().replace('-', "_");
    candidates
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= most)
        .filter_map(|candidate| Some((distance(&name, candidate, most)?, candidate)))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `left` into `right`; `None` beyond `most`.
fn distance(left: &str, right: &str, most: usize) -> Option<usize> {
    Some(strsim::osa_distance(left, right)).filter(|edits| *edits <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["ingestion_rate", "ingestion_burst_size", "request_rate"];

    #[test]
    fn finds_the_name_behind_a_slip() {
        for slip in ["ingestion_rte", "ingestion-rate", "Ingestion_Rate", "ingestoin_rate", "ingestion_rates"] {
            assert_eq!(nearest(slip, NAMES.into_iter()), Some("ingestion_rate"), "{slip}");
        }
    }

    #[test]
    fn finds_nothing_far_away() {
        for name in ["", "x", "burst", "max_series", "ingestion"] {
            assert_eq!(nearest(name, NAMES.into_iter()), None, "{name}");
        }
    }

    #[test]
    fn counts_edits() {
        for (left, right, edits) in [("", "", 0), ("ab", "ba", 1), ("abc", "", 3), ("kitten", "sitting", 3)] {
            assert_eq!(distance(left, right, 3), Some(edits), "{left} {right}");
            assert_eq!(edits.checked_sub(1).and_then(|fewer| distance(left, right, fewer)), None, "{left} {right}");
        }
    }
}
