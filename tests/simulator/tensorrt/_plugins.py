"""The plugins that come with TensorRT: known only after init_libnvinfer_plugins()."""


class _Plugins:
    registered = False


plugins = _Plugins()


class IPluginRegistry:
    """The names of the plugins that are registered."""

    @property
    def plugin_creator_list(self):
        return ["InstanceNormalization_TRT"] if plugins.registered else []


def init_libnvinfer_plugins(logger, namespace):
    plugins.registered = True
    return True


def get_plugin_registry():
    return IPluginRegistry()
