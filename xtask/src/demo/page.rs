//! The demo's results as one HTML page that needs nothing else: every photograph with the rectangles drawn on it, beside the crops.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use breakwater_tests::photographs::Photograph;

use super::crops::{Crop, Term};

/// One colour per strategy, told apart also by people who see colours differently (Okabe and Ito).
const COLOURS: [&str; 8] = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#999999"];

const STYLE: &str = "
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1400px; padding: 0 1rem; color: #1c2430; background: #f6f7f9 }
h1 { margin-bottom: 0 } h2 { margin: 2.5rem 0 .5rem } h3 { margin: 1.2rem 0 .4rem; font-weight: 600 }
.row { display: flex; flex-wrap: wrap; gap: 14px; align-items: flex-start }
figure { margin: 0; background: #fff; border-radius: 6px; box-shadow: 0 1px 3px #0002; padding: 8px; max-width: 200px }
figure.original { max-width: 380px } figure svg, figure img { display: block; width: 100%; height: auto }
figcaption { margin-top: 6px; font-size: 12px } b { border-left: 10px solid; padding-left: 5px }
details { color: #55606e } td { padding-right: 10px; font-variant-numeric: tabular-nums } .degraded { color: #b00020; font-weight: 600 }
";

/// The page.
pub(super) fn html(photographs: &[Photograph], crops: &[Crop]) -> String {
    let sections: String = photographs.iter().enumerate().map(|(index, photograph)| section(index, photograph, crops)).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Breakwater: crops</title>\n<style>{STYLE}</style>\n<h1>Breakwater</h1>\n\
         <p>{} crops of {} photographs, chosen by sandboxed plugins. Coloured frames: the strategies. Dashed: faces found.</p>\n{sections}</html>\n",
        crops.len(),
        photographs.len(),
    )
}

fn section(index: usize, photograph: &Photograph, crops: &[Crop]) -> String {
    let own: Vec<_> = crops.iter().filter(|crop| crop.photograph == photograph.name).collect();
    let mut ratios: Vec<_> = own.iter().map(|crop| crop.ratio).collect();
    ratios.dedup();
    let Photograph { width, height, .. } = photograph;
    // The photograph is in the page once; the drawings refer to it.
    let mut html = format!(
        "<h2>{}</h2>\n<p>{width} × {height} pixels</p>\n<svg width=\"0\" height=\"0\" style=\"position:absolute\"><defs>\
         <image id=\"photo{index}\" width=\"{width}\" height=\"{height}\" href=\"{}\"/></defs></svg>\n",
        escape(&photograph.name),
        data_url(&photograph.bytes),
    );
    for ratio in ratios {
        let of_ratio: Vec<_> = own.iter().copied().filter(|crop| crop.ratio == ratio).collect();
        let figures: String = of_ratio.iter().enumerate().map(|(place, crop)| figure(crop, colour(place))).collect();
        // Writing to a string cannot fail.
        let _ =
            writeln!(html, "<h3>{}:{}</h3>\n<div class=\"row\">{}{figures}</div>", ratio.0, ratio.1, drawing(index, photograph, &of_ratio));
    }
    html
}

/// The whole photograph with every strategy's rectangle and the faces.
fn drawing(index: usize, photograph: &Photograph, crops: &[&Crop]) -> String {
    let Photograph { width, height, .. } = photograph;
    let stroke = (*width).max(*height) as f32 / 160.0;
    let mut marks = String::new();
    for (place, crop) in crops.iter().enumerate() {
        let area = crop.area;
        // Rectangles that coincide stay visible when each is drawn a little further inside than the one before.
        let inset = stroke * (place as f32 + 0.5);
        let _ = write!(
            marks,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" stroke=\"{}\"><title>{}</title></rect>",
            area.x as f32 + inset,
            area.y as f32 + inset,
            (area.width as f32 - 2.0 * inset).max(1.0),
            (area.height as f32 - 2.0 * inset).max(1.0),
            colour(place),
            escape(&crop.strategy),
        );
    }
    for face in crops.iter().max_by_key(|crop| crop.faces.len()).into_iter().flat_map(|crop| &crop.faces) {
        let dash = stroke * 2.0;
        let _ = write!(
            marks,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" stroke=\"#fff\" stroke-dasharray=\"{dash}\"/>",
            face.x, face.y, face.width, face.height
        );
    }
    format!(
        "<figure class=\"original\"><svg viewBox=\"0 0 {width} {height}\" fill=\"none\" stroke-width=\"{stroke}\"><use href=\"#photo{index}\"/>{marks}</svg>\
         <figcaption>the whole photograph</figcaption></figure>\n"
    )
}

fn figure(crop: &Crop, colour: &str) -> String {
    let area = crop.area;
    let degraded = if crop.degraded { " <span class=\"degraded\">degraded</span>" } else { "" };
    let terms: String = crop.reasons.iter().map(row).collect();
    format!(
        "<figure><img alt=\"{name}\" src=\"{}\"><figcaption><b style=\"border-color:{colour}\">{name}</b>{degraded}<br>\
         {}×{} at {}, {}<br>score {:.2}, {:.1} ms<br>{}<details><summary>why</summary><table>{terms}</table></details></figcaption></figure>\n",
        data_url(&crop.picture),
        area.width,
        area.height,
        area.x,
        area.y,
        crop.score,
        crop.milliseconds,
        escape(&crop.served_by),
        name = escape(&crop.strategy),
    )
}

fn row(term: &Term) -> String {
    format!("<tr><td>{}</td><td>{:.3}</td><td>× {:.2}</td></tr>", escape(&term.name), term.value, term.weight)
}

fn colour(place: usize) -> &'static str {
    COLOURS.get(place % COLOURS.len()).copied().unwrap_or("#000")
}

/// Names come from plugins, which may be anybody's.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn data_url(picture: &[u8]) -> String {
    let media_type = if picture.starts_with(b"\x89PNG") { "image/png" } else { "image/jpeg" };
    format!("data:{media_type};base64,{}", BASE64_STANDARD.encode(picture))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::crops::Area;

    #[test]
    fn the_page_draws_the_rectangle_and_trusts_no_name() {
        let photograph = Photograph { name: "a.png".into(), bytes: b"\x89PNG".as_slice().into(), width: 640, height: 320 };
        let crop = Crop {
            photograph: "a.png".into(),
            strategy: "<script>".into(),
            ratio: (1, 1),
            faces: vec![Area { x: 10.5, y: 20.0, width: 30.0, height: 40.0 }],
            area: Area { x: 100, y: 0, width: 320, height: 320 },
            score: 0.5,
            reasons: vec![Term { name: "faces_kept".into(), weight: 1.0, value: 1.0 }],
            milliseconds: 3.0,
            served_by: "plugin:x@1.0.0".into(),
            degraded: false,
            picture: vec![0xff, 0xd8],
            answer: serde_json::Value::Null,
        };
        let page = html(&[photograph], &[crop]);
        assert!(page.contains("<rect x=\"102\" y=\"2\" width=\"316\" height=\"316\""), "{page}");
        assert!(page.contains("<rect x=\"10.5\" y=\"20\" width=\"30\" height=\"40\""));
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"));
        assert!(page.contains("faces_kept"));
    }
}
