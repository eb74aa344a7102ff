"""The model of training_step.cpp in plain PyTorch, as one would write it today: ViT-B/32, Perceiver, OPT-125M with a
gated cross-attention block before each layer. Names of parameters are Plume's, so weights load strictly."""

import torch
from torch import nn
from torch.nn import functional as F


def heads(x, n):
    """[B, T, n d] to [B, n, T, d]"""
    return x.unflatten(-1, (n, -1)).transpose(1, 2)


def merge(x):
    return x.transpose(1, 2).flatten(2)


class VisionAttention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x):
        q, k, v = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
        return self.out_proj(merge(F.scaled_dot_product_attention(heads(q, 12), heads(k, 12), heads(v, 12))))


class VisionBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = VisionAttention(width)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)})

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        h = self.mlp["c_fc"](self.ln_2(x))
        return x + self.mlp["c_proj"](h * torch.sigmoid(1.702 * h))


class Vision(nn.Module):
    def __init__(self, width=768):
        super().__init__()
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty(50, width))
        self.proj = nn.Parameter(torch.empty(width, 512))
        self.conv1 = nn.Conv2d(3, width, 32, 32, bias=False)
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = nn.ModuleDict({"resblocks": nn.ModuleList(VisionBlock(width) for _ in range(12))})

    def forward(self, x):
        patches = self.conv1(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), patches], 1)
        x = self.ln_pre(x + self.positional_embedding)
        for block in self.transformer["resblocks"]:
            x = block(x)
        return x[:, 1:]


def feed_forward(width):
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, 4 * width, bias=False), nn.GELU(), nn.Linear(4 * width, width, bias=False)
    )


class PerceiverAttention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm_media, self.norm_latents = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_q = nn.Linear(width, 512, bias=False)
        self.to_kv = nn.Linear(width, 1024, bias=False)
        self.to_out = nn.Linear(512, width, bias=False)

    def forward(self, media, latents):
        latents = self.norm_latents(latents)
        k, v = self.to_kv(torch.cat([self.norm_media(media), latents], 1)).chunk(2, -1)
        q = heads(self.to_q(latents), 8)
        return self.to_out(merge(F.scaled_dot_product_attention(q, heads(k, 8), heads(v, 8))))


class Perceiver(nn.Module):
    def __init__(self, width=768):
        super().__init__()
        self.latents = nn.Parameter(torch.empty(64, width))
        self.layers = nn.ModuleList(
            nn.ModuleList([PerceiverAttention(width), feed_forward(width)]) for _ in range(6)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, media):  # [N, P, D]
        x = self.latents.expand(len(media), -1, -1)
        for attention, ff in self.layers:
            x = x + attention(media, x)
            x = x + ff(x)
        return self.norm(x)


class CrossAttention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, 512, bias=False)
        self.to_kv = nn.Linear(width, 1024, bias=False)
        self.to_out = nn.Linear(512, width, bias=False)

    def forward(self, x, media, mask):  # media [B, M L, D]
        k, v = self.to_kv(media).chunk(2, -1)
        q = heads(self.to_q(self.norm(x)), 8)
        return self.to_out(merge(F.scaled_dot_product_attention(q, heads(k, 8), heads(v, 8), attn_mask=mask)))


class GatedBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.attn_gate = nn.Parameter(torch.zeros(1))
        self.ff_gate = nn.Parameter(torch.zeros(1))
        self.attn = CrossAttention(width)
        self.ff = feed_forward(width)

    def forward(self, x, media, mask):
        x = x + self.attn(x, media, mask) * self.attn_gate.tanh()
        return x + self.ff(x) * self.ff_gate.tanh()


class OptLayer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.self_attn = nn.ModuleDict(
            {name: nn.Linear(width, width) for name in ("k_proj", "v_proj", "q_proj", "out_proj")}
        )
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x):
        n, a = self.self_attn_layer_norm(x), self.self_attn
        q, k, v = (heads(a[name](n), 12) for name in ("q_proj", "k_proj", "v_proj"))
        x = x + a["out_proj"](merge(F.scaled_dot_product_attention(q, k, v, is_causal=True)))
        return x + self.fc2(F.relu(self.fc1(self.final_layer_norm(x))))


class Decoder(nn.Module):
    def __init__(self, vocabulary, width=768):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, width)
        self.embed_positions = nn.Embedding(2050, width)
        self.final_layer_norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(OptLayer(width) for _ in range(12))


class Flamingo(nn.Module):
    """Trains as the reference does: perceiver, gated blocks, and the whole token table, whose gradient is masked to the
    rows of the two special tokens."""

    def __init__(self, vocabulary=50280, image_token=50278):
        super().__init__()
        self.image_token = image_token
        self.vision_encoder = Vision()
        self.perceiver = Perceiver()
        self.lang_encoder = nn.ModuleDict({"model": nn.ModuleDict({"decoder": Decoder(vocabulary)})})
        self.gated_cross_attn_layers = nn.ModuleList(GatedBlock(768) for _ in range(12))
        self.vision_encoder.requires_grad_(False)
        self.lang_encoder.requires_grad_(False)
        table = self.lang_encoder["model"]["decoder"].embed_tokens.weight
        table.requires_grad_(True)
        trained = torch.zeros(vocabulary, 1)
        trained[[image_token, image_token - 1]] = 1
        table.register_hook(lambda gradient: gradient * trained)

    def groups(self, decay):
        gated = list(self.gated_cross_attn_layers.parameters())
        rest = [p for name, p in self.named_parameters() if p.requires_grad and "gated_cross_attn" not in name]
        return [{"params": gated, "weight_decay": decay}, {"params": rest, "weight_decay": 0.0}]

    def loss(self, images, ids, labels):
        B, M = images.shape[:2]
        with torch.no_grad():
            tokens = self.vision_encoder(images.flatten(0, 2))
        media = self.perceiver(tokens).unflatten(0, (B, M)).flatten(1, 2)  # [B, M L, D]
        times = (ids == self.image_token).cumsum(1)
        owner = torch.arange(1, M + 1).repeat_interleave(64)
        mask = (times[:, :, None] == owner)[:, None]  # every text begins with an image
        decoder = self.lang_encoder["model"]["decoder"]
        x = decoder.embed_tokens(ids) + decoder.embed_positions(torch.arange(2, ids.shape[1] + 2))
        for block, layer in zip(self.gated_cross_attn_layers, decoder.layers):
            x = layer(block(x, media, mask))
        logits = F.linear(decoder.final_layer_norm(x), decoder.embed_tokens.weight)
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
