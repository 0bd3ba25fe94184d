"""The network as the parser fills it: tensors and layers over an ONNX graph."""
import weakref

from nanoface_simulator import ledger

from ._enums import DataType, LayerType, TensorLocation, expect
from ._objects import Bound, Scoped


class ITensor(Bound):
    """A tensor; shape (…), -1 where it is not fixed."""

    __slots__ = ("name", "_shape", "_dtype", "_is_input", "_network")

    @property
    def shape(self):
        return self._shape

    @property
    def dtype(self):
        return self._dtype

    @dtype.setter
    def dtype(self, dtype):
        raise NotImplementedError("the simulator keeps the types of inputs and outputs")

    @property
    def is_network_input(self):
        return self._is_input

    @property
    def is_network_output(self):
        return self.name in self._network._outputs

    @property
    def is_shape_tensor(self):
        return False

    @property
    def location(self):
        return TensorLocation.DEVICE

    @property
    def dynamic_range(self):
        return None


class ILayer(Bound):
    """A layer. Several may come of one ONNX node; only the one with the node's name computes it."""

    __slots__ = ("name", "_kind", "_node", "_inputs", "_outputs", "_precision", "_types", "_conv")

    @property
    def type(self):
        return self._kind

    @property
    def precision(self):
        return self._precision or DataType.FLOAT

    @precision.setter
    def precision(self, dtype):
        self._precision = expect(dtype, DataType, "ILayer.precision")

    @property
    def precision_is_set(self):
        return self._precision is not None

    def reset_precision(self):
        self._precision = None

    @property
    def num_inputs(self):
        return len(self._inputs)

    @property
    def num_outputs(self):
        return len(self._outputs)

    def get_input(self, index):
        return self._inputs[index] if 0 <= index < len(self._inputs) else None

    def get_output(self, index):
        return self._outputs[index] if 0 <= index < len(self._outputs) else None

    def set_output_type(self, index, dtype):
        self._types[index] = expect(dtype, DataType, "ILayer.set_output_type")

    def get_output_type(self, index):
        return self._types.get(index, self._outputs[index].dtype if index < len(self._outputs) else DataType.FLOAT)

    def output_type_is_set(self, index):
        return index in self._types

    def reset_output_type(self, index):
        self._types.pop(index, None)


class IConvolutionLayer(ILayer):
    """A convolution whose weights stand in the file. get_layer() hands out an ILayer: its __class__ has to be set, as for the
    real bindings. What is written here is what the plan computes; `_conv` is None for other layers.
    """

    __slots__ = ()

    @property
    def num_groups(self):
        return self._conv["groups"]

    @num_groups.setter
    def num_groups(self, number):
        self._conv.update(groups=number, changed=True)

    @property
    def num_output_maps(self):
        return self._outputs[0].shape[1]

    @property
    def kernel_size_nd(self):
        return tuple(self._conv["weights"].dims[2:])

    @property
    def kernel(self):
        """Flat, as the bindings have it."""
        from onnx import numpy_helper

        return numpy_helper.to_array(self._conv["weights"]).ravel()

    @kernel.setter
    def kernel(self, values):
        """The library only points at the values: the caller keeps them until the plan is made."""
        self._conv.update(kernel=weakref.ref(values), changed=True)

    def written(self):
        """(outputs, inputs of a group, ...) of a kernel that was set; None where its size does not fit or it is gone."""
        values = self._conv["kernel"]() if self._conv["kernel"] is not None else self.kernel
        if values is None:
            ledger.violation("lifetime", "the weights of {} were freed before the plan was made".format(self.name))
            return None
        shape = (self.num_output_maps, self._inputs[0].shape[1] // self.num_groups) + self.kernel_size_nd
        return values.reshape(shape) if values.size == volume(shape) else None


class INetworkDefinition(Scoped):
    """Filled by the parser; the simulator has none of the add_ functions."""

    __slots__ = ("_flags", "_layers", "_inputs", "_outputs", "_tensors", "_model", "_content_names", "_builder", "name")

    @property
    def has_implicit_batch_dimension(self):
        return not self._flags & 1

    @property
    def has_explicit_precision(self):
        return bool(self._flags & 2)

    @property
    def num_layers(self):
        return len(self._layers)

    @property
    def num_inputs(self):
        return len(self._inputs)

    @property
    def num_outputs(self):
        return len(self._outputs)

    def get_layer(self, index):
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def get_input(self, index):
        return self._inputs[index] if 0 <= index < len(self._inputs) else None

    def get_output(self, index):
        return self._tensors[self._outputs[index]] if 0 <= index < len(self._outputs) else None

    def mark_output(self, tensor):
        expect(tensor, ITensor, "INetworkDefinition.mark_output")
        if tensor.name not in self._outputs:
            self._outputs.append(tensor.name)

    def unmark_output(self, tensor):
        expect(tensor, ITensor, "INetworkDefinition.unmark_output")
        if tensor.name in self._outputs:
            self._outputs.remove(tensor.name)

    def __len__(self):
        return len(self._layers)

    def __getitem__(self, index):
        return self._layers[index]


def empty_network(builder, flags):
    return INetworkDefinition.make(_flags=flags, _layers=[], _inputs=[], _outputs=[], _tensors={}, _model=None,
                                   _content_names=[], _builder=builder, name="Unnamed Network 0")


def volume(shape):
    number = 1
    for side in shape:
        number *= side
    return number


def layer(name, kind, node, inputs, outputs, conv=None):
    """`conv`: {groups, weights} of a convolution, the latter as they stand in the file."""
    return ILayer.make(name=name, _kind=getattr(LayerType, kind), _node=node, _inputs=inputs, _outputs=outputs,
                       _precision=None, _types={}, _conv=conv and dict(conv, kernel=None, changed=False))
