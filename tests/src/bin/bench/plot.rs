//! Plots, as SVG beside the table of results.

use plotters::prelude::*;

use crate::report::directory;

const SIZE: (u32, u32) = (760, 420);
const COLOURS: [RGBColor; 3] = [
    RGBColor(0, 110, 160),
    RGBColor(200, 80, 0),
    RGBColor(110, 110, 110),
];
/// The first line is thick, so that it is seen beneath one that runs over it.
const WIDTHS: [u32; 3] = [6, 2, 2];
const FONT: &str = "sans-serif";

/// How many logins of `most` each race opened, a line for each module.
pub fn races(name: &str, caption: &str, most: usize, raced: &[(&str, Vec<usize>)]) {
    let path = directory().join(name);
    let area = SVGBackend::new(&path, SIZE).into_drawing_area();
    area.fill(&WHITE).unwrap();
    let rounds = raced
        .iter()
        .map(|(_, opened)| opened.len())
        .max()
        .unwrap_or(1);
    let mut chart = ChartBuilder::on(&area)
        .caption(caption, (FONT, 20))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(40)
        .build_cartesian_2d(1..rounds, 0..most + 1)
        .unwrap();
    let mut mesh = chart.configure_mesh();
    mesh.x_desc("race").y_desc("logins").draw().unwrap();
    for ((name, opened), style) in raced.iter().zip(styles()) {
        line(&mut chart, name, style, (1..).zip(opened.iter().copied()));
    }
    finish(&mut chart);
}

/// What a login costs, in microseconds, against the number of users: a line for each module.
pub fn scale(measured: &[(&str, Vec<(f64, f64)>)]) {
    let path = directory().join("scale.svg");
    let area = SVGBackend::new(&path, SIZE).into_drawing_area();
    area.fill(&WHITE).unwrap();
    let points = || {
        measured
            .iter()
            .flat_map(|(_, points)| points.iter().copied())
    };
    let users = points().map(|(users, _)| users).fold(1.0, f64::max);
    let slowest = points().map(|(_, micros)| micros).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(&area)
        .caption("What one login costs", (FONT, 20))
        .margin(12)
        .margin_right(40)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d((1.0..users).log_scale(), (100.0..slowest * 1.5).log_scale())
        .unwrap();
    let mut mesh = chart.configure_mesh();
    let whole = |number: &f64| format!("{number:.0}");
    mesh.x_label_formatter(&whole).y_label_formatter(&whole);
    mesh.x_desc("users").y_desc("microseconds").draw().unwrap();
    for ((name, points), style) in measured.iter().zip(styles()) {
        line(&mut chart, name, style, points.iter().copied());
    }
    finish(&mut chart);
}

fn styles() -> impl Iterator<Item = ShapeStyle> {
    let coloured = COLOURS.into_iter().zip(WIDTHS);
    coloured.map(|(colour, width)| colour.stroke_width(width))
}

type Chart<'a, X, Y> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>;

fn line<'a, X, Y>(
    chart: &mut Chart<'a, X, Y>,
    name: &str,
    style: ShapeStyle,
    points: impl Iterator<Item = (X::ValueType, Y::ValueType)>,
) where
    X: Ranged,
    Y: Ranged,
    X::ValueType: Clone + 'static,
    Y::ValueType: Clone + 'static,
{
    chart
        .draw_series(LineSeries::new(points, style).point_size(3))
        .unwrap()
        .label(name)
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
}

/// The legend, and the file.
fn finish<X: Ranged, Y: Ranged>(chart: &mut Chart<'_, X, Y>) {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()
        .unwrap();
    chart.plotting_area().present().unwrap();
}
