"""The padding-free forward pass compared with the models'."""

import pytest
import torch
import transformers

from optical_sweeps.encoders import packed_bert

SMALL = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
}
MODELS = {
    "bert": lambda: transformers.BertModel(transformers.BertConfig(**SMALL)),
    "roberta": lambda: transformers.RobertaModel(transformers.RobertaConfig(**SMALL)),
    "xlm-roberta": lambda: transformers.XLMRobertaModel(transformers.XLMRobertaConfig(**SMALL)),
}


@pytest.fixture(params=MODELS)
def model(request):
    torch.manual_seed(0)
    return MODELS[request.param]()


@pytest.fixture
def batch():
    torch.manual_seed(1)
    attended = torch.arange(12) < torch.tensor([12, 3, 7, 1])[:, None]
    input_ids = torch.randint(5, 50, (4, 12)).masked_fill(~attended, 1)
    wanted = attended & (torch.rand(4, 12) < 0.6)
    wanted[:, 0] = True
    return input_ids, attended, wanted


def reference(model, input_ids, attended, wanted):
    return model(input_ids=input_ids, attention_mask=attended.long()).last_hidden_state[wanted]


def test_states_and_gradients_equal_those_of_the_model(model, batch):
    model.eval()
    assert packed_bert.supports(model)
    gradients = []
    states = []
    for forward in (packed_bert.wanted_states, reference):
        model.zero_grad()
        states.append(forward(model, *batch))
        states[-1].square()[:, :5].sum().backward()
        gradients.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    torch.testing.assert_close(states[0], states[1], atol=1e-5, rtol=1e-5)
    # The model's own gathers the first token type's row once a position, padding included.
    assert set(gradients[0]) == set(gradients[1])
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], atol=1e-4, rtol=1e-4, msg=name)


def test_wanted_tokens_that_are_not_attended_to_attend_to_others(batch):
    model = MODELS["bert"]().eval()
    input_ids, attended, _ = batch
    everywhere = torch.ones_like(attended)
    with torch.inference_mode():
        ours = packed_bert.wanted_states(model, input_ids, attended, everywhere)
        theirs = reference(model, input_ids, attended, everywhere)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_dropout_is_applied_only_in_training(batch):
    torch.manual_seed(0)
    config = transformers.BertConfig(**SMALL | {"hidden_dropout_prob": 0.5})
    model = transformers.BertModel(config)
    model.eval()
    assert torch.equal(*(packed_bert.wanted_states(model, *batch) for _ in range(2)))
    model.train()
    assert not torch.equal(*(packed_bert.wanted_states(model, *batch) for _ in range(2)))


def test_other_families_are_not_supported():
    config = transformers.DistilBertConfig(vocab_size=50, dim=32, n_layers=1, n_heads=2, hidden_dim=64)
    assert not packed_bert.supports(transformers.DistilBertModel(config))
    decoder = transformers.BertModel(transformers.BertConfig(**SMALL, is_decoder=True))
    assert not packed_bert.supports(decoder)
