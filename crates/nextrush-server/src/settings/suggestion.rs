//! "Did you mean …?"

use super::SETTINGS;
use crate::document::{LIKENESS, most_like};

/// The same for words that are no settings: `server` is not to lead to `secret`.
const LIKENESS_OF_WORDS: f64 = 0.85;

/// Words that people try, and the setting that they look for.
const WORDS: &[(&str, &str)] = &[
    ("port", "listen"),
    ("host", "listen"),
    ("bind", "listen"),
    ("address", "listen"),
    ("addr", "listen"),
    ("socket", "listen"),
    ("secret", "jwt-secret"),
    ("origin", "allow-origin"),
    ("origins", "allow-origin"),
    ("cors", "allow-origin"),
    ("development", "dev"),
    ("cert", "tls-cert"),
    ("certificate", "tls-cert"),
    ("key", "tls-key"),
    ("data", "store"),
    ("dir", "store"),
    ("threads", "shards"),
    ("workers", "shards"),
    ("verbose", "log"),
    ("log-level", "log"),
];

/// The setting that somebody may have meant by a flag or a key that there is not.
pub(crate) fn flag_for(wrong: &str) -> Option<String> {
    let names: Vec<_> = SETTINGS.iter().map(super::Setting::name).collect();
    let words = WORDS.iter().map(|(word, _)| *word);
    let name = most_like(wrong, names.iter().map(String::as_str))?;
    let word = most_like(wrong, words)?;
    if word.0 > name.0 && word.0 > LIKENESS_OF_WORDS {
        let meant = WORDS.iter().find(|(other, _)| *other == word.1);
        return meant.map(|(_, name)| (*name).to_owned());
    }
    (name.0 > LIKENESS).then(|| name.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_names_and_other_words_lead_to_a_setting() {
        for (wrong, expected) in [
            ("lisen", Some("listen")),
            ("tls_cert", Some("tls-cert")),
            ("Listen", Some("listen")),
            ("port", Some("listen")),
            ("prot", Some("listen")),
            ("allow-origins", Some("allow-origin")),
            ("secret", Some("jwt-secret")),
            ("redis-perfix", Some("redis-prefix")),
            ("server", None),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(flag_for(wrong).as_deref(), expected, "{wrong}");
        }
    }

    #[test]
    fn every_word_leads_to_a_setting_that_there_is() {
        for (word, name) in WORDS {
            assert!(
                SETTINGS.iter().any(|setting| setting.name() == *name),
                "{word}"
            );
        }
    }
}
