//! The word that was probably meant.

/// The word of `words` that differs least from `wrong`, if the difference is small enough to be a slip.
pub(crate) fn nearest<'a>(wrong: &str, words: &[&'a str]) -> Option<&'a str> {
    // Longer than any key or word of a policy; comparing it would cost time and find nothing.
    if wrong.len() > 64 {
        return None;
    }
    let wrong = wrong.to_lowercase().replace('-', "_");
    words
        .iter()
        .map(|word| (distance(&wrong, &word.replace('-', "_")), *word))
        .filter(|(distance, word)| *distance <= (word.len().max(wrong.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// How many characters must be added, removed, replaced or swapped with a neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let words = ["steps", "bake", "approve", "at_least", "at_most"];
        for (wrong, meant) in [
            ("step", Some("steps")),
            ("bkae", Some("bake")),
            ("aprove", Some("approve")),
            ("at-least", Some("at_least")),
            ("Steps", Some("steps")),
            ("color", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, &words), meant, "{wrong}");
        }
    }
}
