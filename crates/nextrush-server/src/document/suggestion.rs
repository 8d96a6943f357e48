//! Names that are like a wrong one.

/// The likeness from which on a name is suggested. clap has 0.7, with which `server` is like `store`.
pub(crate) const LIKENESS: f64 = 0.75;

/// The name that is most like a wrong one.
pub(crate) fn did_you_mean<'a>(
    wrong: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let (likeness, name) = most_like(wrong, names)?;
    (likeness > LIKENESS).then_some(name)
}

/// The name that is most like a wrong one, and how much it is.
pub(crate) fn most_like<'a>(
    wrong: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<(f64, &'a str)> {
    let wrong = wrong.to_lowercase().replace('_', "-");
    let likeness = |name: &'a str| (strsim::jaro(&wrong, name), name);
    names
        .into_iter()
        .map(likeness)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
}
