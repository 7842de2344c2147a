//! Imports an interface that no host of ours has.

wit_bindgen::generate!({
    inline: "
        package elsewhere:wishes@1.0.0;

        interface printer {
            print: func(text: string) -> bool;
        }

        interface wishes {
            wish: func(text: string) -> bool;
        }

        world wishing {
            import printer;
            export wishes;
        }
    ",
});

struct Wishing;

impl exports::elsewhere::wishes::wishes::Guest for Wishing {
    fn wish(text: String) -> bool {
        elsewhere::wishes::printer::print(&text)
    }
}

#[cfg(target_arch = "wasm32")]
export!(Wishing);
