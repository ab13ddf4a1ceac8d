//! Field multiplications and squarings that an answer takes, counted in the kernels' text.

use crate::gpu::shader::constants::ecdsa::{BASE_WINDOWS, DIGITS, FIELD_RUN, TABLE_ENTRIES};
use crate::gpu::shader::{Arithmetic, Kernel, ecdsa as kernels};

/// Multiplications and squarings.
type Cost = (u32, u32);

/// What `fe_power` takes, by its own chain: for a root and for an inverse.
const ROOT: Cost = (15, 253);
const INVERSE: Cost = (15, 255);

fn sum(costs: impl IntoIterator<Item = Cost>) -> Cost {
    costs.into_iter().fold((0, 0), |sum, cost| (sum.0 + cost.0, sum.1 + cost.1))
}

fn times(count: u32, cost: Cost) -> Cost {
    (count * cost.0, count * cost.1)
}

/// A function of a kernel, its calls to other functions of points counted as what they take.
fn cost_of(kernel: Kernel, function: &str) -> Cost {
    let shader = kernel.shader(Arithmetic::U64).expect("valid");
    in_text(&body(shader.linked.text(), function), shader.linked.text())
}

fn in_text(text: &str, whole: &str) -> Cost {
    let calls = |name: &str| u32::try_from(text.matches(&format!("{name}(")).count()).expect("few");
    let own = (calls("fe_mul") + calls("fe_mul_add"), calls("fe_sqr") + calls("fe_sqr_add"));
    let points = ["ge_curve", "ge_double", "ge_add_affine", "ge_homogeneous", "ge_add_complete", "ge_jacobian"];
    let called = points.into_iter().map(|name| match calls(name) {
        0 => (0, 0),
        count => times(count, in_text(&body(whole, name), whole)),
    });
    sum(called.chain([own]))
}

/// The text between the braces of a function.
fn body(text: &str, function: &str) -> String {
    let (_, rest) = text.split_once(&format!("fn {function}(")).expect("the function");
    let (_, rest) = rest.split_once("{\n").expect("a body");
    rest.split_once("\n}").expect("its end").0.to_owned()
}

/// The text of the `index`th loop of a function that holds no other loop.
fn innermost(text: &str, index: usize) -> String {
    let loops: Vec<_> = text.split("for (var ").skip(1).map(|part| part.split_once("{\n").expect("a body").1).collect();
    let inner = loops[index];
    let end = inner.find("}\n").map_or(inner.len(), |end| end);
    inner[..end].to_owned()
}

#[test]
fn functions_of_points_cost_what_they_say() {
    for (kernel, function, expected) in [
        (kernels::LIFT, "ge_curve", (1, 1)),
        (kernels::MULTIPLY, "ge_double", (3, 4)),
        (kernels::MULTIPLY, "ge_add_affine", (8, 3)),
        (kernels::COMPLETE, "ge_add_complete", (11, 0)),
        (kernels::COMPLETE, "ge_homogeneous", (2, 1)),
        (kernels::COMPLETE, "ge_jacobian", (2, 1)),
    ] {
        assert_eq!(cost_of(kernel, function), expected, "{function}");
    }
}

#[test]
fn a_verification_takes_fewer_than_two_thousand() {
    let text = |kernel: Kernel| kernel.shader(Arithmetic::U64).expect("valid").linked.text().to_owned();
    let of_loop = |kernel: Kernel, index: usize| {
        let whole = text(kernel);
        in_text(&innermost(&body(&whole, kernel.name), index), &whole)
    };
    // Lift without a root: the loop's call of `fe_power` is none of these.
    let lift = cost_of(kernels::LIFT, kernels::LIFT.name);
    assert_eq!(lift, (1, 2));
    let (walk, rescale) = (of_loop(kernels::TABLE, 0), of_loop(kernels::TABLE, 1));
    assert_eq!((walk, rescale), ((6, 2), (5, 1)));
    let table = sum([times(TABLE_ENTRIES - 1, walk), times(TABLE_ENTRIES, rescale)]);
    // Three doublings and an addition a digit, and one product more.
    let (double, add) = (of_loop(kernels::MULTIPLY, 1), cost_of(kernels::MULTIPLY, "ge_add_affine"));
    assert_eq!(cost_of(kernels::MULTIPLY, kernels::MULTIPLY.name), sum([double, add, (1, 0)]));
    let multiply = sum([times(DIGITS - 1, sum([times(3, double), add])), (1, 0)]);
    let base = times(BASE_WINDOWS, of_loop(kernels::BASE, 0));
    let finish = cost_of(kernels::FINISH_VERIFY, kernels::FINISH_VERIFY.name);
    assert_eq!(finish, (2, 1));
    let verify = sum([lift, table, multiply, base, finish]);
    assert_eq!(verify, (1_009, 730));
    assert!(verify.0 + verify.1 <= 2_000);

    let leave = sum([of_loop(kernels::FINISH_RECOVER, 0), of_loop(kernels::FINISH_RECOVER, 1)]);
    assert_eq!(leave, (6, 1));
    let shared = (INVERSE.0.div_ceil(FIELD_RUN), INVERSE.1.div_ceil(FIELD_RUN));
    let recover = sum([lift, ROOT, table, multiply, base, leave, shared]);
    assert_eq!(recover, (1_029, 991));
}
