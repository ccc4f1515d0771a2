//! Which characters of somebody else's text may reach a terminal.

/// Whether `c` is seen where it is written and changes nothing around it: no control character, and none of the
/// invisible ones that reorder, join or break text (Unicode's categories Cf, Zl, Zp as far as they are assigned, the
/// fillers and selectors that print as nothing, and what will never be a character).
#[must_use]
pub fn is_plain(c: char) -> bool {
    let special = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
        | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    let never = matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe;
    !c.is_control() && !special && !never
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every character that Unicode calls default-ignorable, a control, a format character, a separator of lines or
    /// paragraphs, or no character at all; from the tables of the regular expressions that proptest draws
    /// from.
    const SURPRISES: &str = r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\p{Noncharacter_Code_Point}]";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn what_surprises_is_not_plain(text in SURPRISES) {
            prop_assert!(!text.chars().any(is_plain), "{text:?}");
        }

        #[test]
        fn letters_digits_and_signs_are_plain(text in r"[\p{L}\p{Nd}\p{Sm}\p{Sc}\p{Pd}--\p{Default_Ignorable_Code_Point}]{1,20}") {
            prop_assert!(text.chars().all(is_plain), "{text:?}");
        }
    }
}
