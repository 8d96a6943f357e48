//! The figures beside what is wanted.

/// A table that is printed line by line.
#[derive(Debug)]
pub(crate) struct Table(());

impl Table {
    pub(crate) fn begin() -> Self {
        println!("{:<66} {:>12} {:>12}", "", "measured", "wanted");
        Self(())
    }

    /// A figure with a bound that it should not exceed.
    pub(crate) fn at_most(&mut self, what: &str, measured: f64, wanted: f64, unit: &str) {
        let is_met = if measured <= wanted { "" } else { "missed" };
        let (measured, wanted) = (figure(measured, unit), figure(wanted, unit));
        println!(
            "{what:<66} {measured:>12} {:>12} {is_met}",
            format!("<= {wanted}")
        );
    }

    /// A figure without a bound.
    pub(crate) fn note(&mut self, what: &str, measured: f64, unit: &str) {
        println!("{what:<66} {:>12}", figure(measured, unit));
    }
}

fn figure(figure: f64, unit: &str) -> String {
    let decimals = match figure.abs() {
        0.0..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    format!("{figure:.decimals$} {unit}")
}
