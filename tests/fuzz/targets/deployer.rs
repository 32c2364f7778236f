#![no_main]

use uguisu::inputs::Input;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(why) = Input::Deployer.check(bytes) {
        panic!("{why}");
    }
});
