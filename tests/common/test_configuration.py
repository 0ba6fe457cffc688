"""transformers' `ConfigTester` on `TGDIConfig`."""

import unittest

import pytest

from tgdi_hf import TGDIConfig

from .tiny import OwnLayersModelTester, TGDIModelTester
from .upstream import load_or_skip

ConfigTester = load_or_skip("test_configuration_common").ConfigTester
pytestmark = pytest.mark.slow


class TGDIConfigTest(unittest.TestCase):
    model_tester_class = TGDIModelTester

    def setUp(self):
        self.model_tester = self.model_tester_class(self)

    def test_config(self):
        common = ["text_config", "vision_config", "num_labels"]
        ConfigTester(
            self, config_class=TGDIConfig, has_text_modality=False, common_properties=common
        ).run_common_tests()

    def test_config_of_the_tester(self):
        """The same from other values than the defaults."""
        options = {"num_objects": 1, "fusion_lambda": 0.25, **self.model_tester.options}
        ConfigTester(self, config_class=TGDIConfig, has_text_modality=False, **options).run_common_tests()


class OwnLayersConfigTest(TGDIConfigTest):
    model_tester_class = OwnLayersModelTester
