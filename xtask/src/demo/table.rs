//! The demo's results as text.

use super::crops::Crop;

/// Prints one line per crop.
pub(super) fn print(crops: &[Crop]) {
    let rows = crops.iter().map(cells);
    let heads = ["photo", "ratio", "strategy", "faces", "rectangle", "score", "ms", "served by", "degraded"].map(str::to_owned);
    let table: Vec<_> = std::iter::once(heads).chain(rows).collect();
    for line in lay_out(&table) {
        println!("{line}");
    }
}

fn cells(crop: &Crop) -> [String; 9] {
    let area = crop.area;
    [
        crop.photograph.clone(),
        format!("{}:{}", crop.ratio.0, crop.ratio.1),
        crop.strategy.clone(),
        crop.faces.len().to_string(),
        format!("{}x{}+{}+{}", area.width, area.height, area.x, area.y),
        format!("{:.2}", crop.score),
        format!("{:.1}", crop.milliseconds),
        crop.served_by.clone(),
        if crop.degraded { "yes" } else { "no" }.to_owned(),
    ]
}

/// Lines of equally wide columns, two blanks apart, without blanks at the end.
fn lay_out<const N: usize>(table: &[[String; N]]) -> Vec<String> {
    let widest = |column: usize| table.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..N).map(widest).collect();
    let line = |row: &[String; N]| row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect::<Vec<_>>().join("  ");
    table.iter().map(|row| line(row).trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let table = [["a", "bb"], ["ccc", "d"]].map(|row| row.map(str::to_owned));
        assert_eq!(lay_out(&table), ["a    bb", "ccc  d"]);
    }
}
