//! The picture as SVG. Tones of middle brightness on no background, so that it reads in light and in dark pages; an admitted
//! request is a bar and a refused one a cross, so that nobody needs the colours.

use std::fmt::Write as _;

use crate::{AMOUNT, END_MS, Row, STEP_MS};

/// Where time 0 is, and how wide a second is.
const LEFT: u64 = 150;
const SECOND: u64 = 22;
const ROW: u64 = 76;
/// How high what is left is drawn when nothing was used.
const FULL: u64 = 42;
const TOP: u64 = 24;

const HEAD: &str = r##"<title>Three ways of counting under the same traffic</title>
<style>
text { font: 12px system-ui, sans-serif; fill: #7d8590 }
.name { font-weight: 600 }
.small { font-size: 10px }
.left { fill: #539bf5; fill-opacity: .35 }
.base { stroke: #7d8590; stroke-width: .5 }
.yes { stroke: #2f9e55; stroke-width: 2 }
.no { stroke: #e5534b; stroke-width: 1.2; fill: none }
</style>
"##;

/// All rows over one axis of time.
pub(crate) fn svg(rows: &[Row]) -> String {
    let (width, height) = (LEFT + SECOND * END_MS / 1000 + 16, TOP + ROW * rows.len() as u64 + 22);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" role=\"img\">\n{HEAD}"
    );
    let legend = [
        (0, bar(0, TOP - 6), "admitted"),
        (90, cross(0, TOP - 12), "refused"),
        (170, format!("<path class=\"left\" d=\"M-4 {}h9v9h-9z\"/>", TOP - 17), "what is left"),
    ];
    for (x, sign, text) in legend {
        let x = LEFT + x + 4;
        let _ = writeln!(
            svg,
            "<g transform=\"translate({x})\">{sign}<text x=\"9\" y=\"{}\">{text}</text></g>",
            TOP - 9
        );
    }
    for (i, row) in rows.iter().enumerate() {
        let _ = writeln!(svg, "<g transform=\"translate(0 {})\">", TOP + ROW * i as u64);
        draw(&mut svg, row);
        svg.push_str("</g>\n");
    }
    for second in (0..=END_MS / 1000).step_by(2) {
        let (x, y) = (LEFT + second * SECOND, height - 6);
        let _ = writeln!(
            svg,
            "<text class=\"small\" x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{second} s</text>"
        );
    }
    svg + "</svg>\n"
}

fn draw(svg: &mut String, row: &Row) {
    let admitted = row.requests.iter().filter(|(_, admitted)| *admitted).count();
    let base = ROW - 14;
    let of = format!("{admitted} of {} admitted", row.requests.len());
    for (y, class, text) in [(38, "name", row.name), (54, "small", row.quota), (68, "small", &of)] {
        let _ = writeln!(svg, "<text class=\"{class}\" x=\"6\" y=\"{y}\">{text}</text>");
    }
    let _ = writeln!(svg, "<path class=\"left\" d=\"M{LEFT} {base}{}V{base}z\"/>", outline(&row.left, base));
    let _ = writeln!(svg, "<path class=\"base\" d=\"M{LEFT} {base}h{}\"/>", END_MS / 1000 * SECOND);
    for (at_ms, admitted) in &row.requests {
        let x = x(*at_ms);
        svg.push_str(&if *admitted { bar(x, base) } else { cross(x, base - 5) });
        svg.push('\n');
    }
}

/// What is left as steps; a point stands only where it changes.
fn outline(left: &[u64], base: u64) -> String {
    let mut path = String::new();
    let mut before = None;
    for (i, left) in left.iter().enumerate() {
        if before.replace(left) != Some(left) {
            let _ = write!(path, "H{}V{}", x(i as u64 * STEP_MS), base - left * FULL / AMOUNT);
        }
    }
    path + &format!("H{}", x(END_MS))
}

fn x(at_ms: u64) -> u64 {
    LEFT + at_ms * SECOND / 1000
}

fn bar(x: u64, base: u64) -> String {
    format!("<path class=\"yes\" d=\"M{x} {base}v-16\"/>")
}

fn cross(x: u64, y: u64) -> String {
    format!("<path class=\"no\" d=\"M{} {}l4 4m-4 0l4-4\"/>", x as i64 - 2, y - 2)
}
