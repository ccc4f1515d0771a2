//! The text form is what people approve: it is compared as a whole.

mod common;

#[test]
fn the_text_form_is_stable() {
    let text = common::every_op(3).to_string();
    assert_eq!(text, include_str!("every_op.txt"), "text form changed:\n{text}");
}
