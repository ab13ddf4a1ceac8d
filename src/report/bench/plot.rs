//! Plots as SVG that takes its colours from the page it stands in: both axes logarithmic, drawn by hand, since all there is
//! to draw is two axes, dots and lines.

use std::ops::RangeInclusive;

use super::html::escaped;
use super::text::duration;

/// Units of the drawing; a page scales them. About a phone's width in pixels, so that labels stay readable there.
const SIZE: (f64, f64) = (460.0, 300.0);

/// The part of it between the axes: left, top, right and bottom.
const FRAME: (f64, f64, f64, f64) = (62.0, 12.0, 450.0, 256.0);

/// How many series have a colour of their own (`style.css`); more take the colours again.
pub(super) const COLOURS: usize = 6;

/// A series of points of batch size and value, both above 0.
pub(super) struct Series {
    /// Which of the page's colours it has.
    pub(super) colour: usize,
    /// Whether its dots are joined by a line.
    pub(super) joined: bool,
    pub(super) points: Vec<(f64, f64)>,
}

/// What the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// Items a second.
    Rate,
    /// Seconds.
    Seconds,
}

/// The plot, or `None` where there is nothing to draw. `title` is for whoever does not see it.
pub(super) fn plot(title: &str, values: Values, series: &[Series]) -> Option<String> {
    let scale = Scale::of(series)?;
    let (width, height) = SIZE;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\" \
         font-size=\"13\">\n",
        escaped(title)
    );
    svg += &scale.axes(values);
    for series in series {
        let points: Vec<_> = series.points.iter().filter_map(|point| scale.place(*point)).collect();
        let colour = format!("var(--series-{})", series.colour % COLOURS);
        if series.joined {
            let corners: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let corners = corners.join(" ");
            svg += &format!("<polyline points=\"{corners}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n");
        }
        for (x, y) in points {
            svg += &format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>\n");
        }
    }
    Some(svg + "</svg>\n")
}

/// Where points come to lie.
struct Scale {
    /// Powers of two on the horizontal axis.
    batches: RangeInclusive<i32>,
    /// Powers of ten on the vertical one.
    values: RangeInclusive<i32>,
}

impl Scale {
    /// The powers that hold all points between them.
    fn of(series: &[Series]) -> Option<Self> {
        let points = || series.iter().flat_map(|series| &series.points).filter_map(|point| logarithms(*point));
        Some(Self { batches: powers(points().map(|(x, _)| x))?, values: powers(points().map(|(_, y)| y))? })
    }

    fn place(&self, point: (f64, f64)) -> Option<(f64, f64)> {
        let (x, y) = logarithms(point)?;
        Some((self.across(x), self.up(y)))
    }

    fn across(&self, exponent: f64) -> f64 {
        let (left, _, right, _) = FRAME;
        left + (right - left) * share(&self.batches, exponent)
    }

    fn up(&self, exponent: f64) -> f64 {
        let (_, top, _, bottom) = FRAME;
        bottom - (bottom - top) * share(&self.values, exponent)
    }

    /// Grid lines, their labels and the name of the horizontal axis.
    fn axes(&self, values: Values) -> String {
        let (left, top, right, bottom) = FRAME;
        let mut svg = "<g stroke=\"var(--grid)\" stroke-width=\"1\">\n".to_owned();
        let verticals: Vec<_> = ticks(&self.batches).collect();
        let horizontals = decimal_ticks(&self.values);
        for x in verticals.iter().map(|exponent| self.across(f64::from(*exponent))) {
            svg += &format!("<line x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>\n");
        }
        let height = |digit: i32, exponent: i32| self.up(f64::from(exponent) + f64::from(digit).log10());
        for y in horizontals.iter().map(|(digit, exponent)| height(*digit, *exponent)) {
            svg += &format!("<line x1=\"{left}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>\n");
        }
        svg += "</g>\n<g fill=\"currentColor\">\n";
        for exponent in verticals {
            let (x, y) = (self.across(f64::from(exponent)), bottom + 17.0);
            svg += &format!("<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{}</text>\n", power_of_two(exponent));
        }
        for (digit, exponent) in horizontals {
            let (x, y) = (left - 6.0, height(digit, exponent) + 4.0);
            let label = match values {
                Values::Rate => decimal(digit, exponent),
                Values::Seconds => duration(f64::from(digit) * 10_f64.powi(exponent)).replace(".0 ", " "),
            };
            svg += &format!("<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{label}</text>\n");
        }
        let (x, y) = (f64::midpoint(left, right), SIZE.1 - 6.0);
        svg + &format!("<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">items in a batch</text>\n</g>\n")
    }
}

/// The exponents to 2 and to 10; `None` where there are none.
fn logarithms((x, y): (f64, f64)) -> Option<(f64, f64)> {
    let (x, y) = (x.log2(), y.log10());
    (x.is_finite() && y.is_finite()).then_some((x, y))
}

/// The whole exponents around all of them, at least two; `None` where there are none.
fn powers(exponents: impl Iterator<Item = f64>) -> Option<RangeInclusive<i32>> {
    let (low, high) = exponents
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), exponent| (exponent.min(low), exponent.max(high)));
    // What numbers of 64 bits have for exponents is far within 32 bits.
    #[allow(clippy::cast_possible_truncation, reason = "exponents of f64 are between -1,100 and 1,100")]
    let (low, high) = low.is_finite().then_some((low.floor() as i32, high.ceil() as i32))?;
    Some(low..=high.max(low + 1))
}

/// How far an exponent is on the way from the first to the last.
fn share(range: &RangeInclusive<i32>, exponent: f64) -> f64 {
    let (first, last) = (f64::from(*range.start()), f64::from(*range.end()));
    (exponent - first) / (last - first)
}

/// The exponents that are labelled: about eight at most.
fn ticks(range: &RangeInclusive<i32>) -> impl Iterator<Item = i32> + use<> {
    let step = (range.end() - range.start()).div_euclid(8) + 1;
    range.clone().step_by(usize::try_from(step).unwrap_or(1))
}

/// What is labelled on the vertical axis, as a digit and a power of ten: 1, 2 and 5 of each where there are few.
fn decimal_ticks(range: &RangeInclusive<i32>) -> Vec<(i32, i32)> {
    if range.end() - range.start() > 2 {
        return ticks(range).map(|exponent| (1, exponent)).collect();
    }
    let digits = |exponent| [1, 2, 5].map(|digit| (digit, exponent));
    let mut ticks: Vec<_> = (*range.start()..*range.end()).flat_map(digits).collect();
    ticks.push((1, *range.end()));
    ticks
}

/// `16`, `4k`, `1M`: binary thousands.
fn power_of_two(exponent: i32) -> String {
    let unit = ["", "k", "M", "G"].get(usize::try_from(exponent.div_euclid(10)).unwrap_or(usize::MAX));
    unit.map_or_else(|| format!("2^{exponent}"), |unit| format!("{}{unit}", 1 << exponent.rem_euclid(10)))
}

/// `100`, `20k`, `1M`.
fn decimal(digit: i32, exponent: i32) -> String {
    let unit = ["", "k", "M", "G"].get(usize::try_from(exponent.div_euclid(3)).unwrap_or(usize::MAX));
    unit.map_or_else(
        || format!("{digit}e{exponent}"),
        |unit| format!("{}{unit}", digit * 10_i32.pow(exponent.rem_euclid(3).unsigned_abs())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_named() {
        assert_eq!([0, 4, 9, 10, 16, 20, 40].map(power_of_two), ["1", "16", "512", "1k", "64k", "1M", "2^40"]);
        let shown = [0, 2, 3, 5, 7, 9, 12, -1].map(|exponent| decimal(1, exponent));
        assert_eq!(shown, ["1", "100", "1k", "100k", "10M", "1G", "1e12", "1e-1"]);
        assert_eq!([(2, 4), (5, 6)].map(|(digit, exponent)| decimal(digit, exponent)), ["20k", "5M"]);
    }

    #[test]
    fn points_lie_between_the_axes_and_in_proportion() {
        let series =
            |colour, joined| Series { colour, joined, points: vec![(16.0, 1e-3), (1024.0, 0.1), (4096.0, 1.0)] };
        let svg = plot("a & b", Values::Seconds, &[series(0, true), series(7, false)]).unwrap();
        assert_eq!((svg.matches("<circle").count(), svg.matches("<polyline").count()), (6, 1));
        // 2^4 to 2^12 across 388 units, 10^-3 to 10^0 up 244.
        assert!(svg.contains("points=\"62.0,256.0 353.0,93.3 450.0,12.0\""), "{svg}");
        for expected in
            ["var(--series-0)", "var(--series-1)", "aria-label=\"a &amp; b\"", ">1 ms<", ">1 s<", ">16<", ">4k<"]
        {
            assert!(svg.contains(expected), "{expected} is not in {svg}");
        }
    }

    #[test]
    fn labels_leave_room_for_each_other() {
        for width in 1..40 {
            let labelled: Vec<_> = ticks(&(4..=4 + width)).collect();
            assert_eq!(labelled[0], 4);
            assert!((2..=9).contains(&labelled.len()), "{width}: {labelled:?}");
            let decimal = decimal_ticks(&(0..=width));
            assert_eq!(decimal[0], (1, 0));
            assert!((2..=9).contains(&decimal.len()), "{width}: {decimal:?}");
        }
    }

    #[test]
    fn nothing_to_draw_is_no_plot() {
        assert_eq!(plot("", Values::Rate, &[]), None);
        let points = |points: &[(f64, f64)]| [Series { colour: 0, joined: true, points: points.to_vec() }];
        assert_eq!(
            plot("", Values::Rate, &points(&[(16.0, 0.0), (0.0, 1.0), (1.0, f64::INFINITY), (1.0, f64::NAN)])),
            None
        );
        let one = plot("", Values::Rate, &points(&[(16.0, 3.0)])).unwrap();
        assert_eq!(one.matches("<circle").count(), 1);
        // The extremes of a number neither overflow nor fill the page with labels.
        let extremes =
            plot("", Values::Seconds, &points(&[(f64::MIN_POSITIVE, f64::MAX), (f64::MAX, 5e-324)])).unwrap();
        assert!(extremes.matches("<text").count() < 22);
    }
}
