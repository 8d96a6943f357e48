use nextrush_bench_codec::{Named, Work};

/// The width of a work's name.
const NAME: usize = 38;

/// Prints the heading; the last columns are the ratios, one for each codec of ours.
pub(crate) fn heading(unit: &str, codecs: &[Named]) {
    print!("| {:<NAME$} |", format!("{unit} per message"));
    for codec in codecs {
        print!(" {:>16} |", codec.name);
    }
    println!(" nextrush / best peer | owned / best peer |");
    println!("|---|{}---:|---:|", "---:|".repeat(codecs.len()));
}

/// Prints a line: a figure for each codec, and the ratios.
pub(crate) fn line(work: &Work, figures: &[f64], ratios: &[String]) {
    print!("| {work:<NAME$} |");
    for figure in figures {
        print!(" {:>16} |", rounded(*figure));
    }
    for ratio in ratios {
        print!(" {ratio} |");
    }
    println!();
}

/// The place of the peer with the lowest figure.
pub(crate) fn best_peer(codecs: &[Named], figures: &[f64]) -> usize {
    let peers = (0..codecs.len()).filter(|at| !codecs[*at].is_ours);
    peers
        .min_by(|a, b| figures[*a].total_cmp(&figures[*b]))
        .expect("there are peers")
}

/// The places of our own figures.
pub(crate) fn ours(codecs: &[Named]) -> impl Iterator<Item = usize> {
    (0..codecs.len()).filter(|at| codecs[*at].is_ours)
}

fn rounded(figure: f64) -> String {
    if figure < 100.0 {
        format!("{figure:.1}")
    } else {
        format!("{figure:.0}")
    }
}
