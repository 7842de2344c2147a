//! Text into the tokens of CLIP, as `CLIPTokenizerFast` of transformers does it.
//!
//! OpenAI's own tokenizer repairs broken encodings and HTML entities first (`ftfy`, `html.unescape`); transformers' does not, nor does
//! this one. For text that is whole the two agree, but for a few characters that `ftfy` straightens, such as curly quotes and wide Latin
//! letters. Characters of control are bytes like any other; those that are white space separate words.

use std::collections::HashMap;
use std::io::Read;
use std::sync::OnceLock;

use breakwater_core::Failure;
use flate2::read::GzDecoder;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::{Lowercase, NFC, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as Splitters;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, NormalizerWrapper, PreTokenizerWrapper, SplitDelimiterBehavior, Tokenizer};

use crate::embedder::Overlong;

/// Tokens of the vocabulary.
pub(super) const VOCABULARY: usize = 49_408;
/// The most bytes of a text; more are refused before anything is made of them. The longest context that is known, 248 tokens, holds
/// less than 8 KiB of any language.
pub const MAX_TEXT_BYTES: usize = 32 << 10;

const BEGIN: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";
/// Pieces that are never joined: contractions, words, single digits, runs of other characters.
const PIECES: &str = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
/// From OpenAI's CLIP (MIT), as open_clip ships it.
const MERGES: &[u8] = include_bytes!("../../../../models/bpe_simple_vocab_16e6.txt.gz");

/// The tokenizer of OpenAI's CLIP models, with its vocabulary.
pub struct ClipTokenizer {
    tokenizer: Tokenizer,
    begin: u32,
    end: u32,
}

impl ClipTokenizer {
    /// The one that is built in, made on first use, which takes some hundred milliseconds.
    ///
    /// # Errors
    /// `internal`, if the vocabulary that is built in could not be read.
    pub fn shared() -> Result<&'static Self, Failure> {
        static SHARED: OnceLock<Result<ClipTokenizer, String>> = OnceLock::new();
        let made = SHARED.get_or_init(|| Self::build().map_err(|error| error.to_string()));
        made.as_ref().map_err(|error| Failure::internal(format!("the vocabulary cannot be read: {error}")))
    }

    fn build() -> tokenizers::Result<Self> {
        let (vocabulary, merges) = vocabulary()?;
        let of = |token: &str| vocabulary.get(token).copied().ok_or("the vocabulary has no begin or end");
        let (begin, end) = (of(BEGIN)?, of(END)?);
        // As a file of Hugging Face says it: the builder's map is of a crate of its own.
        let file = serde_json::json!({
            "type": "BPE",
            "unk_token": END,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>",
            "fuse_unk": false,
            "vocab": vocabulary,
            "merges": merges,
        });
        let bpe: BPE = serde_json::from_str(&file.to_string())?;
        let mut tokenizer = Tokenizer::new(bpe);
        let spaces = Replace::new(tokenizers::normalizers::replace::ReplacePattern::Regex(r"\s+".to_owned()), " ")?;
        let normalizers: Vec<NormalizerWrapper> = vec![NFC.into(), spaces.into(), Lowercase.into()];
        tokenizer.with_normalizer(Some(Normalizers::new(normalizers)))?;
        let pieces = Split::new(SplitPattern::Regex(PIECES.to_owned()), SplitDelimiterBehavior::Removed, true)?;
        let splitters: Vec<PreTokenizerWrapper> = vec![pieces.into(), ByteLevel::new(false, true, true).into()];
        tokenizer.with_pre_tokenizer(Some(Splitters::new(splitters)));
        tokenizer.add_special_tokens([BEGIN, END].map(|token| AddedToken::from(token, true)))?;
        Ok(Self { tokenizer, begin, end })
    }

    /// The text's tokens, with those that begin and end it: at most `most` (at least two).
    ///
    /// # Errors
    /// `embedder.text-too-long` when it has more than [`MAX_TEXT_BYTES`], or more tokens than `most` and they are not to be cut.
    pub fn encode(&self, text: &str, most: usize, overlong: Overlong) -> Result<Vec<u32>, Failure> {
        let most = most.max(2);
        if text.len() > MAX_TEXT_BYTES {
            let message = format!("the text has {} bytes, more than {MAX_TEXT_BYTES}; the model takes {most} tokens", text.len());
            return Err(too_long(message));
        }
        let encoded = self.tokenizer.encode_fast(text, false);
        let encoded = encoded.map_err(|error| Failure::internal(format!("a text cannot be made into tokens: {error}")))?;
        let found = encoded.get_ids();
        if found.len() + 2 > most && overlong == Overlong::Refuse {
            let message = format!("the text has {} tokens, the model takes {most}", found.len() + 2);
            return Err(too_long(message).with_detail(serde_json::json!({ "tokens": found.len() + 2, "limit": most })));
        }
        let kept = found.iter().take(most - 2).copied();
        Ok(std::iter::once(self.begin).chain(kept).chain([self.end]).collect())
    }
}

fn too_long(message: String) -> Failure {
    Failure::limit("embedder.text-too-long", message)
}

type Vocabulary = (HashMap<String, u32>, Vec<(String, String)>);

/// The vocabulary is made from the list of merges: every byte, every byte that ends a word, what each merge makes, begin and end.
fn vocabulary() -> tokenizers::Result<Vocabulary> {
    let mut text = String::new();
    // The file has 3.2 MB; a limit costs nothing.
    GzDecoder::new(MERGES).take(16 << 20).read_to_string(&mut text)?;
    let bytes = byte_letters();
    let merged = VOCABULARY - 2 * bytes.len() - 2;
    let pair = |line: &str| line.split_once(' ').map(|(left, right)| (left.to_owned(), right.to_owned()));
    // The first line is a version.
    let merges: Vec<_> = text.lines().skip(1).take(merged).filter_map(pair).collect();
    if merges.len() != merged {
        return Err(format!("{} merges instead of {merged}", merges.len()).into());
    }
    let single = bytes.iter().map(char::to_string);
    let last = bytes.iter().map(|letter| format!("{letter}</w>"));
    let joined = merges.iter().map(|(left, right)| format!("{left}{right}"));
    let tokens = single.chain(last).chain(joined).chain([BEGIN.to_owned(), END.to_owned()]);
    Ok((tokens.zip(0..).collect(), merges))
}

/// A letter for every byte, as GPT-2 writes them: itself if it can be seen, else one from 256 on; in the order of the vocabulary.
fn byte_letters() -> Vec<char> {
    let visible: Vec<u32> = (0x21..=0x7e).chain(0xa1..=0xac).chain(0xae..=0xff).collect();
    let hidden = 256 - visible.len() as u32;
    visible.into_iter().chain(256..256 + hidden).filter_map(char::from_u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(text: &str) -> Vec<u32> {
        ClipTokenizer::shared().unwrap().encode(text, 77, Overlong::Refuse).unwrap()
    }

    #[test]
    fn known_texts_have_the_tokens_of_the_reference() {
        // From the model card of openai/clip-vit-base-patch32 and the tests of transformers.
        assert_eq!(encode("a photo of a cat"), [49_406, 320, 1125, 539, 320, 2368, 49_407]);
        assert_eq!(encode(" A  PHOTO of a\tcat\n"), encode("a photo of a cat"));
        assert_eq!(encode("")[..], [49_406, 49_407]);
    }

    #[test]
    fn a_text_that_is_too_long_is_refused_with_its_tokens_or_cut_when_asked() {
        let tokenizer = ClipTokenizer::shared().unwrap();
        let text = |words: usize| "cat ".repeat(words);
        assert_eq!(tokenizer.encode(&text(75), 77, Overlong::Refuse).unwrap().len(), 77);
        let failure = tokenizer.encode(&text(76), 77, Overlong::Refuse).unwrap_err();
        assert_eq!((&*failure.code, failure.message.contains("78 tokens")), ("embedder.text-too-long", true));
        let cut = tokenizer.encode(&text(76), 77, Overlong::Truncate).unwrap();
        assert_eq!(cut, tokenizer.encode(&text(75), 77, Overlong::Refuse).unwrap());
    }

    #[test]
    fn more_bytes_than_any_text_has_are_refused_before_anything_is_made_of_them() {
        let tokenizer = ClipTokenizer::shared().unwrap();
        let most = "a".repeat(MAX_TEXT_BYTES);
        assert_eq!(tokenizer.encode(&most, 77, Overlong::Truncate).unwrap().len(), 77);
        for overlong in [Overlong::Refuse, Overlong::Truncate] {
            let failure = tokenizer.encode(&format!("{most}a"), 77, overlong).unwrap_err();
            assert_eq!((&*failure.code, failure.message.contains("bytes")), ("embedder.text-too-long", true));
        }
    }
}
