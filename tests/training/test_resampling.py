"""Products with matrices are the product's own resampling."""

import pytest
import torch

from bbmr.devices import full_float32
from bbmr.downscaling.bicubic import downscale, upscale
from bbmr.training.resampling import enlarge, shrink


@pytest.mark.parametrize("factor", [1, 2, 4, 8, 16])
def test_crops_are_resampled_as_the_product_does(factor: int) -> None:
    torch.manual_seed(0)
    crops = torch.rand(2, 3, 48, 64)
    torch.testing.assert_close(shrink(crops, factor), downscale(crops, factor), rtol=0, atol=1e-6)
    torch.testing.assert_close(enlarge(crops, factor), upscale(crops, factor), rtol=0, atol=2e-6)


def test_float32_keeps_its_digits_inside_and_its_setting_outside() -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        with full_float32():
            assert torch.backends.cuda.matmul.fp32_precision == "ieee"
            assert torch.backends.cudnn.conv.fp32_precision == "ieee"  # type: ignore[attr-defined]
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.allow_tf32
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
