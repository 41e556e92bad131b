//! Results as something to read: Markdown with tables, and plots. Pure but for [`write()`]: everything in it is computed
//! from [`Results`], so that a report can be written again, and better, from an old run.

mod findings;
mod headlines;
mod markdown;
mod plot;
mod readme;
#[cfg(test)]
mod sample;
mod sheet;
mod standing;
mod table;
mod units;

use std::fs;
use std::path::{Path, PathBuf};

pub use readme::readme;
pub use standing::{Standing, Verdict, standings};
pub use units::{count, human, ratio};

use crate::Error;
use crate::results::{Quantity, Results};
use sheet::Sheet;

/// The report's name in its folder.
pub const REPORT_FILE: &str = "report.md";
/// The overview's.
pub const OVERVIEW_FILE: &str = "plots/overview.svg";

/// Writes the report into a folder; its path.
///
/// # Errors
/// The folder cannot be written to.
pub fn write(results: &Results, folder: &Path) -> Result<PathBuf, Error> {
    let mut plots: Vec<(Quantity, &str)> = Vec::new();
    let mut files: Vec<(String, String)> = Vec::new();
    for (quantity, variant) in headlines::PLOTTED {
        let sheet = Sheet::find(results, *quantity, variant);
        if let Some((sheet, svg)) = sheet.and_then(|sheet| Some((sheet.clone(), plot::plot(&sheet)?))) {
            files.push((plot_file(&sheet), svg));
            plots.push((*quantity, variant));
        }
    }
    files.extend(plot::overview(results).map(|svg| (OVERVIEW_FILE.to_owned(), svg)));
    files.push((REPORT_FILE.to_owned(), markdown::markdown(results, &plots)));
    let put = || -> std::io::Result<()> {
        fs::create_dir_all(folder.join("plots"))?;
        files.iter().try_for_each(|(name, text)| fs::write(folder.join(name), text))
    };
    put().map_err(|error| format!("cannot write the report into {}: {error}", folder.display()))?;
    Ok(folder.join(REPORT_FILE))
}

/// Where a sheet's plot is, beside the report.
fn plot_file(sheet: &Sheet) -> String {
    let name = serde_json::to_string(&sheet.quantity).unwrap_or_default();
    let words = format!("{} {}", name.trim_matches('"'), sheet.variant);
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = words.trim().chars().map(plain).collect();
    let parts: Vec<&str> = name.split('-').filter(|part| !part.is_empty()).collect();
    format!("plots/{}.svg", parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_that_the_report_shows_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let report = write(&sample::results(), folder.path()).unwrap();
        let text = fs::read_to_string(report).unwrap();
        let pictures: Vec<&str> =
            text.split("](plots/").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        assert!(
            pictures.len() > 4 && pictures.contains(&"first-packet-p50-udp-last-service.svg"),
            "{pictures:?}"
        );
        for picture in pictures {
            let svg = fs::read_to_string(folder.path().join("plots").join(picture)).unwrap();
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{picture}");
        }
    }
}
