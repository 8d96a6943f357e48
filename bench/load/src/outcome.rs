//! The figures that one run of a scenario gives.

/// Figures in the order in which they are shown. A name that begins with spaces belongs to
/// the figure above it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// All of them.
    pub figures: Vec<Figure>,
}

/// A named figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The name of what was measured.
    pub name: String,
    /// Its unit.
    pub unit: &'static str,
    /// The figure.
    pub value: f64,
}

impl Outcome {
    /// Adds a figure.
    pub fn note(&mut self, name: impl Into<String>, unit: &'static str, value: f64) {
        self.figures.push(Figure {
            name: name.into(),
            unit,
            value,
        });
    }

    /// The figure of a name.
    pub fn value(&self, name: &str) -> Option<f64> {
        let figure = self.figures.iter().find(|figure| figure.name == name);
        figure.map(|figure| figure.value)
    }
}
