//! What a search found, as a page with thumbnails in one file.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use breakwater_vision::{Detail, Format, Image, Limits, OutputOptions};
use futures_util::{StreamExt as _, stream};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use super::found::{self, Found};
use super::pictures::Finder;
use super::search::Query;
use crate::fields::list;

/// The longer edge of a thumbnail, in pixels.
const EDGE: u32 = 240;
/// Thumbnails made at the same time.
const AT_ONCE: usize = 4;

const STYLE: &str = "body{font:15px/1.4 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem;color:#222;background:#fafafa}\
header{display:flex;gap:1.5rem;align-items:center;margin-bottom:2rem}header img{max-height:240px;border-radius:6px}\
h1{font-size:1.3rem;margin:0 0 .5rem}ol{list-style:none;padding:0;display:grid;gap:1rem;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr))}\
li{background:#fff;border:1px solid #ddd;border-radius:6px;padding:.75rem}figure{margin:0}li img,.none{width:100%;height:12rem;object-fit:contain;\
background:#f2f2f2;display:block}.none{display:flex;align-items:center;justify-content:center;color:#888}\
figcaption{overflow-wrap:anywhere;margin-top:.5rem}.figures,.remark{color:#666}.remark{color:#a40}";

/// Writes the page under another name first, so that it is there whole or not at all.
pub(super) async fn write(file: &Path, query: &Query, answer: &Value, finder: &Finder) -> Result<()> {
    let wanted = match query {
        Query::Picture(path) => thumbnail(Some(path.clone())).await,
        Query::Text(_) => None,
    };
    let files: Vec<_> = list(answer, "items").map(|item| image_of(item).and_then(|image| finder.file(image))).collect();
    let thumbnails: Vec<_> = stream::iter(files).map(thumbnail).buffered(AT_ONCE).collect().await;
    let text = page(query, answer, wanted.as_deref(), &thumbnails).into_string();
    let part = file.with_extension("part");
    std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, file)).with_context(|| format!("cannot write {}", file.display()))
}

fn image_of(item: &Value) -> Option<&str> {
    item.get("product")?.get("image")?.as_str()
}

/// A small JPEG as a `data:` URL; none when the file is no picture that can be read.
async fn thumbnail(file: Option<PathBuf>) -> Option<String> {
    let file = file?;
    #[expect(clippy::disallowed_methods, reason = "a command that draws one thumbnail after the other, beside no calls")]
    let drawn = tokio::task::spawn_blocking(move || draw(&file));
    drawn.await.ok()?
}

fn draw(file: &Path) -> Option<String> {
    let limits = Limits::default();
    if std::fs::metadata(file).ok()?.len() > limits.max_bytes {
        return None;
    }
    let bytes: bytes::Bytes = std::fs::read(file).ok()?.into();
    let size = breakwater_vision::probe(&bytes, &limits).ok()?.size.fit_longer(EDGE);
    let image = Image::decode(bytes, Detail::AtLeast(size), &limits).ok()?;
    let options = OutputOptions { format: Format::Jpeg, quality: None, size: Some(size), keep_metadata: false };
    let drawn = breakwater_vision::render(&image, image.size().rect(), &options, &limits).ok()?;
    Some(format!("data:image/jpeg;base64,{}", STANDARD.encode(&drawn.bytes)))
}

/// The page. Everything that came from outside is escaped.
fn page(query: &Query, answer: &Value, wanted: Option<&str>, thumbnails: &[Option<String>]) -> Markup {
    let items = list(answer, "items").map(Found::of).zip(thumbnails.iter().chain(std::iter::repeat(&None)));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "Breakwater search" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    @if let Some(picture) = wanted { img src=(picture) alt="what was looked for"; }
                    div {
                        h1 {
                            @match query {
                                Query::Picture(file) => (file.display()),
                                Query::Text(text) => (text),
                            }
                        }
                        p .figures { (found::summary(query, answer)) }
                        @for remark in found::remarks(answer) { p .remark { (remark) } }
                    }
                }
                ol {
                    @for (rank, (item, thumbnail)) in (1..).zip(items) {
                        li { (figure(rank, &item, thumbnail.as_deref())) }
                    }
                }
            }
        }
    }
}

fn figure(rank: u32, item: &Found<'_>, thumbnail: Option<&str>) -> Markup {
    html! {
        figure {
            @match thumbnail {
                Some(picture) => img src=(picture) alt=(item.name) loading="lazy";,
                None => div .none { "no picture here" },
            }
            figcaption {
                b { (rank) ". " (item.name) }
                div .figures { "similarity " (format!("{:.4}", item.similarity)) " · score " (format!("{:.4}", item.score)) }
                @if !item.category.is_empty() { div .figures { (item.category) } }
                @if item.duplicates > 0 { div .figures { "+" (item.duplicates) " alike" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::found::tests::answer;
    use super::*;

    #[test]
    fn titles_cannot_become_markup() {
        let query = Query::Text("<img src=x onerror=alert(1)>".into());
        let text = page(&query, &answer(), None, &[Some("data:image/jpeg;base64,AAAA".into())]).into_string();
        assert!(text.contains("title of &lt;script&gt;") && !text.contains("<script>"), "{text}");
        assert!(text.contains("&lt;img src=x") && !text.contains("<img src=x"), "{text}");
        assert!(text.contains("src=\"data:image/jpeg;base64,AAAA\"") && text.contains("no picture here"));
        assert!(text.contains("similarity 0.9877") && text.contains("/photos/a.jpg") && text.contains("+2 alike"));
    }

    #[tokio::test]
    async fn a_page_holds_its_thumbnails() {
        let folder = tempfile::tempdir().unwrap();
        let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../operations/src/check.png");
        let file = folder.path().join("out.html");
        let finder = Finder::new(&breakwater_settings::Settings::parse(Path::new("b.toml"), "", [], &[]).unwrap(), &Default::default());
        let mut answer = answer();
        answer["items"][0]["product"]["image"] = picture.canonicalize().unwrap().to_str().unwrap().into();
        write(&file, &Query::Picture(picture), &answer, &finder).await.unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.matches("data:image/jpeg;base64,").count(), 2);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        assert_eq!(thumbnail(Some(file)).await, None, "what is no picture has no thumbnail");
    }
}
