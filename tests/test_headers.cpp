// Nothing: this source is there for the headers that are precompiled with it.
