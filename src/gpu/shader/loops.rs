//! That loops end. A device is told not to count their iterations (`gpu::pipeline`), so that no kernel reaches it whose loops are not
//! seen here to count up, by a constant of their own, to a bound that stands before they begin.

use naga::{BinaryOperator, Block, Expression, Function, Handle, Literal, LocalVariable, Span, Statement};

/// The first loop of a module that is not seen to end.
pub(super) fn endless(module: &naga::Module) -> Option<Span> {
    let entries = module.entry_points.iter().map(|entry| &entry.function);
    entries.chain(module.functions.iter().map(|(_, function)| function)).find_map(|function| {
        let mut found = None;
        each_statement(&function.body, &mut |statement, span| {
            if let Statement::Loop { body, continuing, break_if } = statement {
                let counts = break_if.is_none() && counts_up(function, body, continuing).is_some();
                found = found.or_else(|| (!counts).then_some(*span));
            }
        });
        found
    })
}

/// Whether a loop has the form of `for (var i = a; i < bound; i += step)`, and nothing else changes `i`.
fn counts_up(function: &Function, body: &Block, continuing: &Block) -> Option<()> {
    let expression = |handle: Handle<Expression>| &function.expressions[handle];
    let loaded = |handle| match *expression(handle) {
        Expression::Load { pointer } => local(function, pointer),
        _ => None,
    };
    let test = body.iter().find(|statement| !matches!(statement, Statement::Emit(_)))?;
    let Statement::If { condition, accept, reject } = test else { return None };
    let leaves = accept.is_empty() && matches!(reject.iter().as_slice(), [Statement::Break]);
    let &Expression::Binary { op: BinaryOperator::Less, left, right } = expression(*condition) else { return None };
    let counter = loaded(left)?;
    if !leaves || emits(body, right) || emits(continuing, right) {
        return None;
    }

    let step = continuing.iter().find(|statement| !matches!(statement, Statement::Emit(_)))?;
    let &Statement::Store { pointer, value } = step else { return None };
    let &Expression::Binary { op: BinaryOperator::Add, left, right } = expression(value) else { return None };
    let forward = matches!(expression(right), Expression::Literal(Literal::U32(1..)));
    let counts = local(function, pointer)? == counter && loaded(left)? == counter && forward;

    let mut changes = 0;
    for block in [body, continuing] {
        each_statement(block, &mut |statement, _| {
            let hands_out = |pointer: &Handle<Expression>| local(function, *pointer) == Some(counter);
            changes += usize::from(match statement {
                Statement::Store { pointer, .. } => hands_out(pointer),
                Statement::Call { arguments, .. } => arguments.iter().any(hands_out),
                _ => false,
            });
        });
    }
    (counts && changes == 1).then_some(())
}

/// The variable that a pointer points to or into.
fn local(function: &Function, pointer: Handle<Expression>) -> Option<Handle<LocalVariable>> {
    match function.expressions[pointer] {
        Expression::LocalVariable(variable) => Some(variable),
        Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => local(function, base),
        _ => None,
    }
}

/// Whether an expression is evaluated in a block, each time anew.
fn emits(block: &Block, expression: Handle<Expression>) -> bool {
    let mut emitted = false;
    each_statement(block, &mut |statement, _| match statement {
        Statement::Emit(range) => emitted |= range.clone().any(|handle| handle == expression),
        Statement::Call { result, .. } => emitted |= *result == Some(expression),
        _ => {}
    });
    emitted
}

fn each_statement(block: &Block, visit: &mut dyn FnMut(&Statement, &Span)) {
    for (statement, span) in block.span_iter() {
        visit(statement, span);
        match statement {
            Statement::Block(inner) => each_statement(inner, visit),
            Statement::If { accept, reject, .. } => {
                each_statement(accept, visit);
                each_statement(reject, visit);
            }
            Statement::Switch { cases, .. } => cases.iter().for_each(|case| each_statement(&case.body, visit)),
            Statement::Loop { body, continuing, .. } => {
                each_statement(body, visit);
                each_statement(continuing, visit);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::endless;

    fn ends(body: &str) -> bool {
        let text = format!(
            "const N: u32 = 9u;
             fn change(p: ptr<function, u32>) {{ *p = 0u; }}
             @compute @workgroup_size(1) fn k(@builtin(global_invocation_id) id: vec3<u32>) {{
                 let bound = min(id.x, 9u);
                 var other = 9u;
                 {body}
             }}"
        );
        let module = naga::front::wgsl::parse_str(&text).expect("parses");
        endless(&module).is_none()
    }

    #[test]
    fn counted_loops_are_told_from_others() {
        for counted in [
            "for (var i = 0u; i < N; i++) {}",
            "for (var i = 0u; i < bound; i += 2u) { other += i; if other == 3u { break; } }",
            "for (var i = id.x; i < N; i++) { for (var j = 3u; j < bound; j++) { continue; } }",
        ] {
            assert!(ends(counted), "{counted}");
        }
        for other in [
            "loop { if other == 3u { break; } }",
            "while other < N { other++; }",
            "for (var i = 0u; i <= bound; i++) {}",
            "for (var i = 0u; i < N; i += 0u) {}",
            "for (var i = 9u; i > 0u; i--) {}",
            "for (var i = 0u; i < N; i++) { i = 0u; }",
            "for (var i = 0u; i < N; i++) { change(&i); }",
            "for (var i = 0u; i < N; other++) {}",
            "for (var i = 0u; other < N; i++) {}",
            "for (var i = 0u; i < other; i++) { other += 2u; }",
            "for (var i = 0u; i < N; i++) { for (var j = 0u; j < i; j++) {} }",
            "if id.x == 1u { for (var i = 0u; i < N; i++) { for (var j = 0u; j < N; i++) {} } }",
        ] {
            assert!(!ends(other), "{other}");
        }
    }
}
